/** What the machine can afford, decided once from the name of its renderer. */
export interface Quality {
  name: "still" | "full";
  msaa: number;
  shadows: boolean;
  pixelRatio: number;
  tileError: number;
  globeError: number;
  /** The view counts as ready while it is this many times coarser; then it refines (the ground by the square of it). */
  firstLook: number;
}

/** Permitted errors in pixels of the very first picture: the city as blocks within few requests. */
export const OPENING = { tiles: 320, globe: 64 };

const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

export function isSoftware(renderer: string): boolean {
  return SOFTWARE.test(renderer);
}

/** `asked` comes from ?quality=; software rendering gives up motion luxuries, never content. */
export function qualityFor(renderer: string, asked: string | null, deviceRatio: number): Quality {
  const slow = asked === "full" ? false : asked === "still" ? true : isSoftware(renderer);
  return slow
    ? { name: "still", msaa: 1, shadows: false, pixelRatio: 1, tileError: 16, globeError: 2.1, firstLook: 1.8 }
    : { name: "full", msaa: 4, shadows: true, pixelRatio: Math.min(deviceRatio, 1.5), tileError: 14, globeError: 1.5, firstLook: 1 };
}
