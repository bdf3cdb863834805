import type { App } from "../app.ts";

const MOVES: Record<string, (app: App) => void> = {
  ArrowLeft: ({ camera }) => camera.pan(-0.12, 0),
  ArrowRight: ({ camera }) => camera.pan(0.12, 0),
  ArrowUp: ({ camera }) => camera.pan(0, 0.12),
  ArrowDown: ({ camera }) => camera.pan(0, -0.12),
  "+": ({ camera }) => camera.zoom(0.8),
  "=": ({ camera }) => camera.zoom(0.8),
  "-": ({ camera }) => camera.zoom(1.25),
  q: ({ camera }) => camera.turn(-10, 0),
  e: ({ camera }) => camera.turn(10, 0),
  r: ({ camera }) => camera.turn(0, -5),
  f: ({ camera }) => camera.turn(0, 5),
  n: ({ camera }) => camera.north(),
  h: ({ camera }) => void camera.home(),
};

/** Keys of the scene while it has the focus; Escape closes what is open; a slash goes to the search. */
export function keys(app: App, scene: HTMLElement): void {
  scene.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = MOVES[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!move) return;
    move(app);
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement && event.target.type === "search";
    if (event.key === "Escape" && !typing) {
      if (app.view.value.selected) app.view.set({ selected: null });
      else app.view.set({ panel: null });
    } else if (event.key === "/" && !typing) {
      document.getElementById("search")?.focus();
      event.preventDefault();
    }
  });
}
