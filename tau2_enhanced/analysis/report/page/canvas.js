// What drawings share: a clean canvas, the colours, lines and hatching.

function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

// A cleared context whose unit is a CSS pixel.
function prepared(canvas) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return context;
}

// The page's colours as they are now: they change with the reader's light or dark mode.
function palette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "soft", "rule", "paper", "track", "passed", "failed", "unfinished", "other", "mark", ...Object.keys(CALL_NAMES)];
  const colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...colours, font: "system-ui, sans-serif" };
}

function hatching(context, colour) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d");
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  for (const shift of [-6, 0, 6]) line(pen, shift - 1, 7, shift + 7, -1);
  return context.createPattern(tile, "repeat");
}

function dotting(context) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d");
  pen.fillStyle = "#666666";
  for (const at of [1, 4]) pen.fillRect(at, at, 1.3, 1.3);
  return context.createPattern(tile, "repeat");
}
