/** Risk has five colours, warnings have four; the two scales never share a legend or a mark. */
export const RISK: Record<number, string> = { 5: "#C00000", 4: "#F07818", 3: "#F8D030", 2: "#90C878", 1: "#4890D8" };
export const SEVERITY: Record<number, string> = { 1: "#D3212C", 2: "#F0801A", 3: "#F2C211", 4: "#2F7BD1" };
export const GOLD = "#C8962E";
/** The shader draws this exact grey as a hatch; nothing else may use it. */
export const UNKNOWN = "#9C9A97";
export const PLAIN = "#FFFFFF";
export const LEVELS = [5, 4, 3, 2, 1] as const;

/** Ink that keeps at least 4.5 : 1 on a fill of this colour. */
export function inkOn(hex: string): "#000000" | "#FFFFFF" {
  return contrast(hex, "#FFFFFF") >= 4.5 ? "#FFFFFF" : "#000000";
}

/** WCAG 2 contrast ratio of two #RRGGBB colours. */
export function contrast(a: string, b: string): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Colour of a risk level; 0, missing or unknown levels are "insufficient data". */
export function riskColour(level: number | null | undefined): string {
  return RISK[level ?? 0] ?? UNKNOWN;
}
