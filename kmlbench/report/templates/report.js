// SPDX-License-Identifier: MIT
// Makes the headings of every table buttons that sort it: ascending, descending, as it was. Rows stay in their
// group, and what others measured apart. Folds details, and unfolds them for paper and for links into them. Without
// scripts the tables are whole, in the order of the report, and nothing is folded.
"use strict";
const MARKS = { none: "↕", ascending: "↑", descending: "↓" };
const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

function key(row, column) {
  const text = (row.cells[column].firstChild?.textContent ?? "").trim();
  const number = parseFloat(text.replaceAll(",", "").replace("−", "-").replace(/^(±|exactly )/, ""));
  return { text, number, absent: text === "–" || text === "" };
}

// What is absent stands last in either direction; numbers stand before words.
function compare(one, two, sign) {
  if (one.absent !== two.absent) return one.absent ? 1 : -1;
  const numbers = [one, two].filter((each) => !Number.isNaN(each.number)).length;
  if (numbers === 2 && one.number !== two.number) return sign * (one.number - two.number);
  if (numbers === 1) return Number.isNaN(one.number) ? 1 : -1;
  return sign * one.text.localeCompare(two.text, "en", { numeric: true });
}

function sorted(rows, column, order) {
  if (order === "none") return rows;
  const kinds = [...new Set(rows.map((row) => row.className))];
  const sign = order === "ascending" ? 1 : -1;
  return kinds.flatMap((kind) =>
    rows
      .filter((row) => row.className === kind)
      .map((row) => ({ row, at: key(row, column) }))
      .sort((one, two) => compare(one.at, two.at, sign))
      .map((one) => one.row),
  );
}

function sort(headings, groups, chosen) {
  const order = NEXT[headings[chosen].getAttribute("aria-sort") ?? "none"];
  headings.forEach((heading, column) => {
    const shown = column === chosen ? order : "none";
    if (shown === "none") heading.removeAttribute("aria-sort");
    else heading.setAttribute("aria-sort", shown);
    heading.querySelector(".mark").textContent = MARKS[shown];
  });
  for (const { body, rows } of groups) body.append(...sorted(rows, chosen, order));
}

for (const table of document.querySelectorAll("table")) {
  const headings = [...table.tHead.rows[0].cells];
  const groups = [...table.tBodies].map((body) => ({
    body,
    rows: [...body.rows].filter((row) => !row.querySelector(".group")),
  }));
  if (groups.every(({ rows }) => rows.length < 2)) continue;
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.setAttribute("aria-hidden", "true");
    mark.textContent = MARKS.none;
    button.type = "button";
    button.append(...heading.childNodes, mark);
    button.addEventListener("click", () => sort(headings, groups, column));
    heading.append(button);
  });
}

const folds = [...document.querySelectorAll("details[data-fold]")];

// What a link leads to is unfolded, and what is around it.
function follow() {
  const target = document.querySelector(":target");
  if (!target) return;
  for (let at = target.parentElement; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  for (const inner of target.querySelectorAll(":scope > details")) inner.open = true;
  target.scrollIntoView();
}

for (const fold of folds) fold.open = false;
addEventListener("load", follow);
addEventListener("hashchange", follow);

let closed = [];
addEventListener("beforeprint", () => {
  closed = folds.filter((fold) => !fold.open);
  for (const fold of closed) fold.open = true;
});
addEventListener("afterprint", () => {
  for (const fold of closed) fold.open = false;
});

for (const list of document.querySelectorAll("nav ul")) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const name = () => (button.textContent = folds.some((fold) => !fold.open) ? "Unfold all" : "Fold all");
  button.type = "button";
  button.className = "unfold";
  button.addEventListener("click", () => {
    const open = folds.some((fold) => !fold.open);
    for (const fold of folds) fold.open = open;
    name();
  });
  name();
  item.append(button);
  list.append(item);
}
