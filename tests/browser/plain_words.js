// Every text on the screen that still has plain letters when the page speaks its catalogue in disguise (en-XA, every letter accented),
// apart from what the server said in words. `heard`: all that it sent, as JSON.
(heard) => {
  // Values of the API that a person sees through a table of the catalogue: one that is shown as it came is a fault.
  const coded = new Set([
    "canary", "change", "direction", "kafka", "kind", "lane", "priority", "quality", "role", "sex", "stage", "state", "status", "subject",
  ]);
  const said = new Set(["mmHg", "°C", "L/min"]); // units as people write them
  const take = (value, key) => {
    if (typeof value === "string" && !coded.has(key)) said.add(value).add(value.replaceAll("_", " "));
    else if (typeof value === "object" && value !== null)
      for (const [name, inside] of Object.entries(value)) {
        if (!Array.isArray(value)) said.add(name).add(name.replaceAll("_", " ")); // stages of the canary, metrics
        take(inside, Array.isArray(value) ? key : name);
      }
  };
  for (const text of heard) if (text !== "") take(JSON.parse(text), "");
  for (const name of coded) said.delete(name);
  const words = [...said].filter((one) => one.length > 1).sort((a, b) => b.length - a.length);
  const plain = (text) => {
    let rest = text;
    for (const one of words) rest = rest.replaceAll(one, "");
    return /[a-z]/i.test(rest);
  };
  const found = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const of = walk.currentNode.parentElement;
    if (of.closest("script, noscript, kbd") === null && of.checkVisibility() && plain(walk.currentNode.data))
      found.add(walk.currentNode.data.trim());
  }
  for (const name of ["aria-label", "title", "placeholder", "alt"])
    for (const element of document.querySelectorAll(`[${name}]`))
      if (element.checkVisibility() && plain(element.getAttribute(name))) found.add(`${name}: ${element.getAttribute(name)}`);
  if (plain(document.title)) found.add(`title of the page: ${document.title}`);
  return [...found];
};
