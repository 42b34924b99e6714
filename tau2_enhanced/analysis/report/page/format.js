"use strict";

// Numbers as people read them, and elements that hold text, never HTML.

const UNKNOWN = "–";
const DECIMALS = [0, 1, 2, 3, 4].map(
  (digits) => new Intl.NumberFormat("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);
const COLLATOR = new Intl.Collator("en", { numeric: true });

function known(value) {
  return value !== null && value !== undefined && value !== "";
}

// Rounded as report.md and the terminal do: by the number's exact value, a half to the even digit.
function decimalText(value, digits) {
  const isHalf = Math.abs(value * 2 ** (digits + 1)) % 2 === 1;
  const rounded = value.toFixed(digits);
  const odd = "13579".includes(rounded.at(-1));
  return DECIMALS[digits].format(isHalf && odd ? (value * (1 - Number.EPSILON)).toFixed(digits) : rounded);
}

function countText(value) {
  return known(value) ? decimalText(value, 0) : UNKNOWN;
}

function shareText(value) {
  return known(value) ? `${decimalText(100 * value, 1)} %` : UNKNOWN;
}

function usdText(value) {
  return known(value) ? decimalText(value, 4) : UNKNOWN;
}

// Three digits at least, three decimals at most: 0.123, 1.23, 12.3, 1,234.
function numberText(value) {
  if (!value) return value === 0 ? "0" : UNKNOWN;
  const size = Math.abs(value);
  return decimalText(value, size < 0.9995 ? 3 : size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

function durationText(us) {
  if (!known(us)) return UNKNOWN;
  if (us < 999.5e3) return `${numberText(us / 1e3)} ms`;
  if (us < 600e6) return `${numberText(us / 1e6)} s`;
  return us < 7200e6 ? `${numberText(us / 60e6)} min` : `${numberText(us / 3600e6)} h`;
}

// A moment as m:ss or h:mm:ss; below a second with as many decimals as a step of `step` µs needs.
function clockText(us, step = 1e6) {
  const decimals = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step / 1e6) - 1e-9)));
  const total = Math.abs(us) / 1e6;
  const seconds = (total % 60).toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
  const minutes = Math.floor(total / 60) % 60;
  const hours = Math.floor(total / 3600);
  const head = hours ? `${hours}:${String(minutes).padStart(2, "0")}` : `${minutes}`;
  return `${us < 0 ? "−" : ""}${head}:${seconds}`;
}

// An element; `attributes` that are undefined are left out, children that are texts become text.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

// The later of several calls in one frame is done, and no other.
function oncePerFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}
