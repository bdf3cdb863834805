import type { Api } from "./api.ts";
import type { Ground } from "./ground.ts";
import type { Live } from "./live.ts";
import type { CityCamera } from "./scene/camera.ts";
import type { Models } from "./scene/models.ts";
import type { Overlay } from "./scene/overlay.ts";
import type { Stage } from "./scene/stage.ts";
import type { View } from "./state.ts";
import type { Theme } from "./theme.ts";
import type { City } from "./types.ts";

/** What the parts of the page share. */
export interface App {
  api: Api;
  city: City;
  view: View;
  stage: Stage;
  models: Models;
  camera: CityCamera;
  overlay: Overlay;
  ground: Ground;
  theme: Theme | null;
  live: Live | null;
  /** Hours of local time ahead of UTC. */
  offset: number;
}
