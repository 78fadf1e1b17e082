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
  viewer.screenSpaceEventHandler.setInputAction(
    async ({ position }) => pick(await describe(viewer.scene.pick(position))),
    Cesium.ScreenSpaceEventType.LEFT_CLICK,
  );
  const flat = Math.max(1, container.clientWidth / container.clientHeight / 1.6); // then less is seen above and below
  const whole = 2.2 * flat * tileset.boundingSphere.radius; // CesiumJS itself goes too near to see all of it
  await viewer.zoomTo(tileset, new Cesium.HeadingPitchRange(0, -0.6, whole));
}
