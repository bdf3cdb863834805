// Runs before the engine module is fetched: the engine looks for its workers and assets below this address.
declare const __ENGINE__: string;
(window as unknown as { CESIUM_BASE_URL: string }).CESIUM_BASE_URL = new URL(`./${__ENGINE__}/`, document.baseURI).href;
document.documentElement.dataset["twinLoadState"] = "loading";
