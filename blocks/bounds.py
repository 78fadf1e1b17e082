"""Bounds on everything that other systems send: sizes in bytes, counts and times; CONTRIBUTING.md lists them.

They are generous for real data, and keep the memory of a process below 300 MB whatever is sent.
"""

MIB = 1024 * 1024

LONGEST_ANSWER = 16 * MIB
"""Body of an answer of the platform or the sign-in service, decompressed; 1000 iModels take about 3 MiB."""
ANSWER_SECONDS = 120.0
"""For a request to the platform and its whole answer, however slowly the bytes come."""
MOST_PAGES = 2_000
MOST_LISTED = 100_000
LONGEST_LIST = 128 * MIB
"""Pages, items and bytes of a list of the platform: 40,000 runs or 60,000 iModels with all their members."""
LONGEST_TEXT = 10_000
"""Characters that are kept of a text in an answer: a name, a message or an exporter's details."""
LONGEST_NAME = 500
"""Characters of a text in an artifact of the Prefect UI, or in a cell of a table."""
LONGEST_ID = 256
"""Characters of an id by which the items of a list are told apart."""
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
MOST_TILES = 150_000
"""Files of a tileset; each takes about 700 bytes of memory."""
MOST_FOLDERS = 254
"""Within one another, in the name of a tile (Azure allows no more) and in the path of an output folder."""
LONGEST_TILE_NAMES = 64 * MIB
"""Bytes of all names of a tileset."""
LONGEST_TILE = 1024 * MIB
"""A file of a tileset where no listing says how long it is."""
TILE_SECONDS = 3600
"""For one file of a tileset: a SAS link of the platform is valid for one hour."""
LONGEST_CHAIN = 256
"""Documents of a tileset that refer to one another in a row."""
LONGEST_SUBTREE = 32 * MIB
"""A subtree with its availability bits, and a buffer of it in a file of its own."""
MOST_LISTING_PAGES = 5_000
"""Pages of a container's listing, which may be empty."""
ANSWER_STALLS = 4
"""Times the longest silence that a page of a listing, or an answer without content, may take: 120 s."""
LEAST_SPEED = 4096
"""Bytes a second of a range of an IFC file, besides the 30 s that every answer has; 16 are fetched at once."""
LEAST_TILE_SPEED = 512
"""Bytes a second of a tile, on average of 30 s; up to 64 are fetched at once."""
LONGEST_LISTING_PAGE = 16 * MIB
"""A page of a container's listing: 5000 blobs, about a kilobyte each."""
MOST_XML_MARKS = 800_000
"""Tags and attributes of such a page, closing tags included; 5000 blobs take about 250,000."""
LONGEST_IDS = 4 * MIB
MOST_IDS = 20
"""An IDS document, and the documents that acceptance rules name."""
LONGEST_URL = 32 * 1024
"""Characters of a link; a SAS link has about 500, a signed CDN link up to 2000."""
LONGEST_HEADER = 1024
"""Characters of an ETag."""
