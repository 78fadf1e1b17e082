"""Bounds on everything that other systems send: sizes in bytes, counts and times; CONTRIBUTING.md lists them.

They are generous for real data, and keep the memory of a process below 300 MB whatever is sent.
"""

MIB = 1024 * 1024

LONGEST_ANSWER = 16 * MIB
"""Body of an answer of the platform or the sign-in service, decompressed; 1000 iModels take about 3 MiB."""
LONGEST_ERROR_BODY = 1 * MIB
"""Of the body of an error answer, decompressed, so much is read; the rest is left."""
DEEPEST_JSON = 200
"""Objects and arrays within one another, in any JSON; a tileset uses two for each level of its tree."""
LONGEST_NUMBER = 300
"""Digits of a number in JSON; a float takes no more."""
LARGEST_JSON_IN_MEMORY = 128 * MIB
"""What a parsed document takes, as estimated from its text: about 80,000 tiles in one `tileset.json`."""
LONGEST_TILESET_JSON = 32 * MIB
"""A `tileset.json`, glTF, GeoJSON or subtree document, and the JSON part of a GLB or binary subtree."""
LONGEST_LISTING_PAGE = 16 * MIB
"""A page of a container's listing: 5000 blobs, about a kilobyte each."""
MOST_XML_MARKS = 800_000
"""Tags and attributes of such a page, closing tags included; 5000 blobs take about 250,000."""
LONGEST_URL = 32 * 1024
"""Characters of a link; a SAS link has about 500, a signed CDN link up to 2000."""
LONGEST_HEADER = 1024
"""Characters of an ETag."""
