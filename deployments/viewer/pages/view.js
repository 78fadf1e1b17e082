// Selects the item to show. The page shows the state for people and in <body data-…> for programs.
const items = await (await fetch("items.json")).json();
const choice = document.getElementById("item");
choice.append(...items.map((item) => new Option(item.name, item.url)));
const wanted = decodeURIComponent(location.hash.slice(1));
const item = items.find(({ url }) => decodeURIComponent(url) === decodeURIComponent(wanted)) ?? items[0];
choice.value = item.url;
choice.onchange = () => {
  location.hash = encodeURIComponent(choice.value);
  location.reload();
};

export function report(state, facts = {}) {
  const said = Object.entries(facts).map(([name, value]) => `${value} ${name}`);
  document.getElementById("state").textContent = [state, ...said].join(" · ");
  Object.assign(document.body.dataset, { state, ...facts });
}

export function pick(words) {
  document.getElementById("picked").textContent = words;
  document.body.dataset.picked = words;
}

document.getElementById("facts").textContent = item.facts.join(" · ");
const { show } = await import(item.kind === "ifc" ? "./ifc.js" : "./tileset.js");
show(item.url, document.getElementById("view"), report, pick).catch((error) => report("error", { message: String(error) }));
