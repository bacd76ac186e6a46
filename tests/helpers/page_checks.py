"""What is looked for on every page, as scripts for a browser."""

CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgb = color => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = color => {
    const [r, g, b] = color.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const color = rgb(getComputedStyle(each).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const faults = [];
  let looked = 0;
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join("");
    if (!text || !element.getClientRects().length) continue;
    looked += 1;
    const style = getComputedStyle(element);
    const pair = [luminance(rgb(style.color)), luminance(ground(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) faults.push(`${text.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return {looked, faults};
})()
"""
CUT = """
[...document.body.querySelectorAll("h1, h2, h3, p, dd, dt, li, figcaption, img")]
  .filter(e => !e.closest(".scroll"))
  .map(e => [e.tagName, e.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.left < -0.5 || box.right > innerWidth + 0.5))
  .map(([tag, box]) => `${tag} ${box.left} ${box.right}`)
"""
