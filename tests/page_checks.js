// What the guidelines ask of every page (WCAG 2.2 AA), as far as a program can see it: names of controls,
// alternatives of pictures, one first heading, contrasts, sizes of targets. Returns what is wrong.
() => {
  const faults = [];
  const isShown = (element) => element.checkVisibility() && element.getClientRects().length > 0;
  for (const each of document.querySelectorAll("button, input, select, a")) {
    if (!(each.textContent.trim() || each.ariaLabel || each.labels?.length)) faults.push(`no name: ${each.outerHTML}`);
  }
  for (const each of document.images) {
    if (!each.hasAttribute("alt")) faults.push(`no alternative: ${each.id}`);
  }
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  if (!document.documentElement.lang) faults.push("no language");

  const numbers = (text) => text.match(/[\d.]+/g).map(Number);
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = numbers(getComputedStyle(each).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const hasText = (element) => [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  for (const each of document.body.querySelectorAll("*")) {
    if (!hasText(each) || !isShown(each) || each.closest(".hidden, svg, noscript")) continue;
    const ink = luminance(numbers(getComputedStyle(each).color)), paper = luminance(ground(each));
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)}: ${each.textContent.trim().slice(0, 40)}`);
  }
  for (const each of document.querySelectorAll("button")) {
    const box = each.getBoundingClientRect();
    if (isShown(each) && Math.min(box.width, box.height) < 24) faults.push(`small target: ${each.id}`);
  }
  return faults;
}
