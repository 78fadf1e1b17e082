// Selects the item to show. The page shows the state for people and in <body data-…> for programs.
const items = await (await fetch("items.json")).json();
const choice = document.getElementById("item");
choice.append(...items.map((item) => new Option(item.name, item.url)));
choice.value = decodeURIComponent(location.hash.slice(1)) || items[0].url;
choice.onchange = () => {
  location.hash = encodeURIComponent(choice.value);
  location.reload();
};

export function report(state, facts = {}) {
  const said = Object.entries(facts).map(([name, value]) => `${value} ${name}`);
  document.getElementById("state").textContent = [state, ...said].join(" · ");
  Object.assign(document.body.dataset, { state, ...facts });
}

const item = items.find(({ url }) => url === choice.value) ?? items[0];
const { show } = await import(item.kind === "ifc" ? "./ifc.js" : "./tileset.js");
show(item.url, document.getElementById("view"), report).catch((error) => report("error", { message: String(error) }));
