// Chooses what to look at. The state of the view stands in the page for people and in <body data-…> for programs.
const sights = await (await fetch("sights.json")).json();
const choice = document.getElementById("sight");
choice.append(...sights.map((sight) => new Option(sight.name, sight.url)));
choice.value = decodeURIComponent(location.hash.slice(1)) || sights[0].url;
choice.onchange = () => {
  location.hash = encodeURIComponent(choice.value);
  location.reload();
};

export function tell(state, facts = {}) {
  const said = Object.entries(facts).map(([name, value]) => `${value} ${name}`);
  document.getElementById("state").textContent = [state, ...said].join(" · ");
  Object.assign(document.body.dataset, { state, ...facts });
}

const sight = sights.find(({ url }) => url === choice.value) ?? sights[0];
const { show } = await import(sight.kind === "ifc" ? "./ifc.js" : "./tileset.js");
show(sight.url, document.getElementById("view"), tell).catch((error) => tell("error", { message: String(error) }));
