// A tileset with CesiumJS: no imagery, no terrain, no account.
function load(source) {
  return new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement("script"), { src: source, onload: resolve, onerror: reject }));
  });
}

// What is clicked on, as its file and that file's bytes.
async function describe(picked) {
  const uri = picked?.content?.url;
  if (!uri) return "";
  const { headers } = await fetch(uri, { method: "HEAD" });
  return `${decodeURIComponent(new URL(uri, location.href).pathname.split("/data/").pop())} · ${headers.get("content-length")} bytes`;
}

// Every tile around an iModel in a common tileset, with its place among its siblings.
function* imodelTiles(tile) {
  for (const child of tile.children) {
    if (child.metadata?.class?.id === "imodel") yield { parent: tile, child };
    else yield* imodelTiles(child);
  }
}

// A switch for each iModel: a tile that its parent does not list is neither loaded nor drawn.
function listModels(tileset) {
  const models = [...imodelTiles(tileset.root)].map(({ parent, child }) => ({
    parent, child, name: child.metadata.getProperty("name"),
  }));
  models.sort((one, other) => one.name.localeCompare(other.name));
  const list = document.getElementById("models");
  list.hidden = models.length === 0;
  const draw = ({ parent, child }, shown) => {
    const others = parent.children.filter((tile) => tile !== child);
    parent.children.splice(0, parent.children.length, ...others, ...(shown ? [child] : []));
  };
  const rows = models.map((model) => {
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
    box.onchange = () => draw(model, box.checked);
    const label = document.createElement("label");
    label.append(box, ` ${model.name}`);
    return { box, label };
  });
  const every = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
  every.onchange = () => rows.forEach(({ box }) => box.checked !== every.checked && box.click());
  const label = document.createElement("label");
  label.append(every, ` All ${models.length} iModels`);
  list.replaceChildren(label, ...rows.map((row) => row.label));
  document.body.dataset.models = models.length;
}

export async function show(url, container, report, pick) {
  window.CESIUM_BASE_URL = new URL("../cesium/", import.meta.url).href;
  await load("cesium/Cesium.js");
  const { Cesium } = window;
  const off = ["animation", "timeline", "geocoder", "baseLayerPicker", "homeButton", "sceneModePicker", "infoBox",
    "navigationHelpButton", "selectionIndicator"];
  const viewer = new Cesium.Viewer(container, {
    ...Object.fromEntries(off.map((name) => [name, false])),
    baseLayer: false,
    globe: false,
    skyBox: false,
    skyAtmosphere: false,
  });
  viewer.scene.backgroundColor = Cesium.Color.fromCssColorString("#20262c");

  const failed = [];
  let loaded = 0;
  const say = (state) => report(state, { tiles: loaded, failed: failed.length });
  say("loading");
  const tileset = await Cesium.Cesium3DTileset.fromUrl(url);
  tileset.tileFailed.addEventListener(({ url: tile, message }) => {
    failed.push(tile);
    console.error(`${tile}: ${message}`);
    say("loading");
  });
  tileset.tileLoad.addEventListener(() => (loaded += 1));
  tileset.allTilesLoaded.addEventListener(() => say("complete"));
  tileset.loadProgress.addEventListener((pending, processing) => pending + processing > 0 && say("loading"));

  const detail = document.getElementById("detail");
  detail.oninput = () => (tileset.maximumScreenSpaceError = 32 / 2 ** (detail.value / 2));
  detail.oninput();
  viewer.scene.primitives.add(tileset);
  listModels(tileset);
  viewer.screenSpaceEventHandler.setInputAction(
    async ({ position }) => pick(await describe(viewer.scene.pick(position))),
    Cesium.ScreenSpaceEventType.LEFT_CLICK,
  );
  const flat = Math.max(1, container.clientWidth / container.clientHeight / 1.6); // then less is seen above and below
  const whole = 2.2 * flat * tileset.boundingSphere.radius; // CesiumJS itself goes too near to see all of it
  await viewer.zoomTo(tileset, new Cesium.HeadingPitchRange(0, -0.6, whole));
}
