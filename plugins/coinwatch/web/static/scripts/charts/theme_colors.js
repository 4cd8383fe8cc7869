// Colors of the current theme for canvases, which know no CSS variables.

export function themeColors(element) {
  const probe = document.createElement("span");
  element.append(probe);
  const resolve = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colors = {
    text: resolve("--soft"), grid: resolve("--edge"), paper: resolve("--paper"), line: resolve("--accent"), ink: resolve("--ink"),
    up: resolve("--up"), down: resolve("--down"), mark: resolve("--mark"), gap: resolve("--chart-gap"), volume: resolve("--chart-volume"),
    series: [1, 2, 3, 4, 5, 6, 7, 8].map((number) => resolve(`--series-${number}`)),
  };
  probe.remove();
  return colors;
}
