// Validates every GLB of a folder with Khronos' validator; prints {"count", "problems"}.
const fs = require("fs");
const path = require("path");
const validator = require("gltf-validator");

const files = fs.readdirSync(process.argv[2]).map((name) => path.join(process.argv[2], name));
Promise.all(files.map(async (file) => {
  const { issues } = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)), { format: "glb" });
  return issues.messages.filter(({ severity }) => severity <= 1).map(({ code, message }) => `${file}: ${code} ${message}`);
})).then((found) => console.log(JSON.stringify({ count: files.length, problems: found.flat() })));
