"use strict";
// Nothing here is needed to read the page: without it, tables keep their order and all clips are shown.

// A click on a heading orders the rows: numbers from the highest, words from the first letter, then the other way, then as they were.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], given = [...body.rows];
  if (given.length < 2) continue;
  const heads = [...[...table.tHead.rows].at(-1).cells];
  const key = (row, column) => {
    const cell = row.cells[column], value = cell.dataset.value;
    return value === undefined ? (cell.classList.contains("number") ? NaN : cell.textContent.trim()) : Number(value);
  };
  heads.forEach((head, column) => {
    const numbers = head.classList.contains("number");
    const cycle = numbers ? ["none", "descending", "ascending"] : ["none", "ascending", "descending"];
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const now = cycle[(cycle.indexOf(head.getAttribute("aria-sort")) + 1) % 3];
      heads.forEach((other) => other.setAttribute("aria-sort", other === head ? now : "none"));
      const sign = now === "ascending" ? 1 : -1;
      const rows = now === "none" ? given : [...given].sort((one, two) => {
        const a = key(one, column), b = key(two, column);
        if (!numbers) return sign * a.localeCompare(b);
        // What was not scored comes last, whatever the order.
        return Number.isNaN(a) - Number.isNaN(b) || sign * (a - b) || 0;
      });
      body.append(...rows);
    });
  });
}

// The boxes above the clips show those that fit all of them.
const filter = document.getElementById("filter");
if (filter) {
  const cards = [...document.querySelectorAll(".card")], said = document.getElementById("shown");
  const boxes = [...filter.querySelectorAll("select")], words = filter.querySelector("input");
  const apply = () => {
    const wanted = words.value.trim().toLowerCase();
    let count = 0;
    for (const card of cards) {
      const fits = boxes.every((box) => !box.value || card.dataset[box.name] === box.value);
      card.hidden = !(fits && card.textContent.toLowerCase().includes(wanted));
      count += !card.hidden;
    }
    said.textContent = `${count} of ${cards.length} clips shown`;
  };
  filter.addEventListener("input", apply);
  filter.hidden = false;
  apply();
}
