import type { Scene } from "cesium";
import type { Models } from "./models.ts";

/** Resolves when ground and models of the current view are complete and nothing has changed for half a second. */
export function settled(scene: Scene, models: Models, patience = 60000): Promise<boolean> {
  return new Promise((done) => {
    const began = performance.now();
    let calmSince = 0;
    const timer = window.setInterval(() => {
      scene.requestRender();
      const now = performance.now();
      const calm = scene.globe.tilesLoaded && models.loaded;
      calmSince = calm ? calmSince || now : 0;
      if ((calmSince && now - calmSince >= 500) || now - began > patience) {
        window.clearInterval(timer);
        done(calm);
      }
    }, 120);
  });
}
