import { Credit, CreditDisplay, GroundPolylinePrimitive, GroundPrimitive, TaskProcessor, Transforms, buildModuleUrl } from "cesium";

declare const __ENGINE__: string;

/** Tells the engine where its files lie, and what it need not fetch: every request before the first picture delays it. */
export function slimEngine(): void {
  const module = buildModuleUrl as unknown as { setBaseUrl(address: string): void };
  module.setBaseUrl(new URL(`./${__ENGINE__}/`, document.baseURI).href);
  // A line of text instead of a picture of the engine's name.
  CreditDisplay.cesiumCredit = new Credit("CesiumJS");
  // Nothing of ours is clamped by the coarse heights of the earth that the widget asks for as it is made.
  const none = { initializeTerrainHeights: (): Promise<void> => Promise.resolve() };
  Object.assign(GroundPrimitive, none);
  Object.assign(GroundPolylinePrimitive, none);
  // Our light has its own sun; without tables of the earth's wobble the engine's is some arc seconds off, and unseen.
  Object.assign(Transforms, { iau2006XysData: { preload: () => Promise.resolve(), computeXysRadians: () => undefined } });
  // Whatever has WebGL 2 hands arrays over to its workers: no worker is needed to find out.
  Object.assign(TaskProcessor, { _canTransferArrayBuffer: true });
}
