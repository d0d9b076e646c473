// A click on a column's head sorts the table by it; a second one turns the order round. Unknown values stay last.
for (const head of document.querySelectorAll("th button")) {
  head.addEventListener("click", () => {
    const cell = head.parentElement, body = cell.closest("table").tBodies[0];
    const up = cell.getAttribute("aria-sort") !== "ascending";
    for (const other of cell.parentElement.children) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = row => row.children[cell.cellIndex].dataset.key;
    const order = (a, b) => cell.dataset.kind === "number" ? a - b : a.localeCompare(b);
    const rows = [...body.rows].sort((one, two) => {
      const [a, b] = [key(one), key(two)];
      if (a === "" || b === "") return (a === "") - (b === "");
      return up ? order(a, b) : order(b, a);
    });
    body.append(...rows);
  });
}
