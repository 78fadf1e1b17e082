// An IFC file with web-ifc, which makes the triangles, and three.js, which draws them.
import * as THREE from "three";
import { IfcAPI } from "web-ifc";
import { OrbitControls } from "../three/examples/jsm/controls/OrbitControls.js";

export async function show(url, container, report) {
  document.getElementById("detail-label").hidden = true;
  report("loading");
  const content = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const { model, count } = await build(content);
  draw(model, container);
  report("complete", { shapes: count });
}

async function build(content) {
  const ifc = new IfcAPI();
  ifc.SetWasmPath(new URL("../web-ifc/", import.meta.url).href, true);
  await ifc.Init();
  const id = ifc.OpenModel(content);
  const model = new THREE.Group();
  let count = 0;
  ifc.StreamAllMeshes(id, ({ geometries }) => {
    for (let index = 0; index < geometries.size(); index += 1) {
      model.add(shape(ifc, id, geometries.get(index)));
      count += 1;
    }
  });
  ifc.CloseModel(id);
  return { model, count };
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

function draw(model, container) {
  const scene = new THREE.Scene();
  scene.background = new THREE.Color("#20262c");
  scene.add(model, new THREE.HemisphereLight("#ffffff", "#555555", 2), new THREE.DirectionalLight("#ffffff", 1));
  const box = new THREE.Box3().setFromObject(model);
  model.position.sub(box.getCenter(new THREE.Vector3())); // models stand far from the origin, where floats are coarse
  const radius = box.getSize(new THREE.Vector3()).length() / 2 || 1;

  const camera = new THREE.PerspectiveCamera(45, innerWidth / innerHeight, radius / 1000, radius * 100);
  camera.position.set(radius, radius, radius * 2);
  const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
  const controls = new OrbitControls(camera, renderer.domElement);
  container.append(renderer.domElement);
  const fit = () => {
    camera.aspect = innerWidth / innerHeight;
    camera.updateProjectionMatrix();
    renderer.setSize(innerWidth, innerHeight);
  };
  addEventListener("resize", fit);
  fit();
  renderer.setAnimationLoop(() => {
    controls.update();
    renderer.render(scene, camera);
  });
}
