// Shades time ranges without prices, as a primitive of lightweight-charts.

// `locate(seconds)` returns the fractional position of a time among the chart's bars.
export function createGapShading(gaps, locate, color) {
  let chart = null;
  const draw = (target) => target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio }) => {
    const scale = chart.timeScale();
    const spacing = scale.options().barSpacing;
    const across = (seconds) => {
      const position = locate(seconds);
      const whole = Math.floor(position);
      const left = scale.logicalToCoordinate(whole);
      return left === null ? null : (left + (position - whole - 0.5) * spacing) * horizontalPixelRatio;
    };
    context.fillStyle = color;
    for (const [start, end] of gaps) {
      const [left, right] = [across(start), across(end)];
      if (left !== null && right !== null) context.fillRect(left, 0, Math.max(1, right - left), bitmapSize.height);
    }
  });
  const view = { zOrder: () => "bottom", renderer: () => ({ draw }) };
  return { attached: (parameters) => { chart = parameters.chart; }, detached: () => { chart = null; }, paneViews: () => [view] };
}
