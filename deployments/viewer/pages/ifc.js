// An IFC file with web-ifc, which makes the triangles, and three.js, which draws them.
import * as THREE from "three";
import { IfcAPI } from "web-ifc";
import { OrbitControls } from "../three/examples/jsm/controls/OrbitControls.js";

const CLICK = 5; // pixels that a pointer may move during a click
const MARGIN = 1.1; // so much farther than where the model would touch the edges

export async function show(url, container, report, pick) {
  document.getElementById("detail-label").hidden = true;
  report("loading");
  const content = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const { model, count, describe } = await build(content);
  draw(model, container, (shape) => pick(shape ? describe(shape.userData.id) : ""));
  report("complete", { shapes: count });
}

async function build(content) {
  const ifc = new IfcAPI();
  ifc.SetWasmPath(new URL("../web-ifc/", import.meta.url).href, true);
  await ifc.Init();
  const id = ifc.OpenModel(content);
  const model = new THREE.Group();
  let count = 0;
  ifc.StreamAllMeshes(id, ({ expressID, geometries }) => {
    for (let index = 0; index < geometries.size(); index += 1) {
      const part = shape(ifc, id, geometries.get(index));
      part.userData.id = expressID;
      model.add(part);
      count += 1;
    }
  });
  const describe = (element) => {
    const line = ifc.GetLine(id, element);
    return [ifc.GetNameFromTypeCode(line.type), line.Name?.value, line.GlobalId?.value].filter(Boolean).join(" · ");
  };
  return { model, count, describe };
}

// web-ifc gives six numbers a vertex: position and normal.
function shape(ifc, id, { geometryExpressID, flatTransformation, color }) {
  const parts = ifc.GetGeometry(id, geometryExpressID);
  const vertices = ifc.GetVertexArray(parts.GetVertexData(), parts.GetVertexDataSize()).slice();
  const indices = ifc.GetIndexArray(parts.GetIndexData(), parts.GetIndexDataSize()).slice();
  parts.delete();
  const interleaved = new THREE.InterleavedBuffer(vertices, 6);
  const geometry = new THREE.BufferGeometry();
  geometry.setAttribute("position", new THREE.InterleavedBufferAttribute(interleaved, 3, 0));
  geometry.setAttribute("normal", new THREE.InterleavedBufferAttribute(interleaved, 3, 3));
  geometry.setIndex(new THREE.BufferAttribute(indices, 1));
  const { x, y, z, w } = color;
  const material = new THREE.MeshLambertMaterial({
    color: new THREE.Color(x, y, z), opacity: w, transparent: w < 1, side: THREE.DoubleSide,
  });
  const mesh = new THREE.Mesh(geometry, material);
  mesh.applyMatrix4(new THREE.Matrix4().fromArray(flatTransformation));
  return mesh;
}

function draw(model, container, picked) {
  const scene = new THREE.Scene();
  scene.background = new THREE.Color("#20262c");
  scene.add(model, new THREE.HemisphereLight("#ffffff", "#555555", 2), new THREE.DirectionalLight("#ffffff", 1));
  const box = new THREE.Box3().setFromObject(model);
  model.position.sub(box.getCenter(new THREE.Vector3())); // models stand far from the origin, where floats are coarse
  const size = box.getSize(new THREE.Vector3());
  const radius = size.length() / 2 || 1;

  const camera = new THREE.PerspectiveCamera(45, 1, radius / 1000, radius * 100);
  const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
  const controls = new OrbitControls(camera, renderer.domElement);
  container.append(renderer.domElement);
  const fit = () => {
    camera.aspect = container.clientWidth / container.clientHeight;
    camera.updateProjectionMatrix();
    renderer.setSize(container.clientWidth, container.clientHeight);
  };
  addEventListener("resize", fit);
  fit();
  frame(camera, size);
  select(renderer.domElement, camera, model, picked);
  renderer.setAnimationLoop(() => {
    controls.update();
    renderer.render(scene, camera);
  });
}

// From in front, above and the right, as near as all corners of the box around the model are seen.
function frame(camera, size) {
  const toward = new THREE.Vector3(1, 1, 2).normalize();
  const right = new THREE.Vector3().crossVectors(camera.up, toward).normalize();
  const up = new THREE.Vector3().crossVectors(toward, right);
  const tall = Math.tan(THREE.MathUtils.degToRad(camera.fov) / 2);
  const needed = [];
  for (let sides = 0; sides < 8; sides += 1) {
    const side = (bit) => (sides & bit ? 0.5 : -0.5);
    const corner = new THREE.Vector3(side(1), side(2), side(4)).multiply(size);
    const [across, upwards] = [Math.abs(corner.dot(right)), Math.abs(corner.dot(up))];
    needed.push(corner.dot(toward) + Math.max(across / (tall * camera.aspect), upwards / tall));
  }
  camera.position.copy(toward).multiplyScalar(MARGIN * Math.max(...needed) || 1);
}

// A click, not the end of a turn, selects the element that is in front.
function select(canvas, camera, model, picked) {
  const ray = new THREE.Raycaster();
  let start = { x: 0, y: 0 };
  let marked = null;
  canvas.addEventListener("pointerdown", ({ clientX: x, clientY: y }) => (start = { x, y }));
  canvas.addEventListener("pointerup", ({ clientX, clientY }) => {
    if (Math.hypot(clientX - start.x, clientY - start.y) > CLICK) return;
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const place = new THREE.Vector2(((clientX - left) / width) * 2 - 1, 1 - ((clientY - top) / height) * 2);
    ray.setFromCamera(place, camera);
    marked?.material.emissive.set("#000000");
    marked = ray.intersectObjects(model.children)[0]?.object ?? null;
    marked?.material.emissive.set("#995500");
    picked(marked);
  });
}
