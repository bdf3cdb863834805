import { Resource } from "cesium";
import type { Api } from "../api.ts";
import type { City } from "../types.ts";

type Files = Map<string, Uint8Array<ArrayBuffer>>;
interface Waiting { resolve: (answer: unknown) => void; reject: (reason: unknown) => void }
type Load = (
  url: string, responseType: string | undefined, method: string, data: unknown, headers: object | undefined, deferred: Waiting,
  ...more: unknown[]
) => unknown;

/**
 * Coarse terrain and pictures come as one file each: what the engine asks for first is handed out of it, and every other
 * address goes its usual way. Without packs, or where one cannot be read, nothing is missing.
 */
export function openPacks(api: Api, city: City): void {
  const named = [city.terrain?.opening, ...city.imagery.map(({ opening }) => opening)].filter((url) => url !== undefined);
  const packs = [...new Set(named)].map((url) => {
    const address = api.url(url);
    return { folder: address.slice(0, address.lastIndexOf("/") + 1), files: fetchPack(address) };
  });
  const loader = (Resource as unknown as { _Implementations?: { loadWithXhr: Load } })._Implementations;
  if (!loader || packs.length === 0) return;
  const plain = loader.loadWithXhr;
  loader.loadWithXhr = (url, responseType, method, data, headers, deferred, ...more) => {
    const pack = method === "GET" ? packs.find(({ folder }) => url.startsWith(folder)) : undefined;
    if (!pack) return plain(url, responseType, method, data, headers, deferred, ...more);
    void pack.files.then((files) => {
      const file = files.get(decodeURI(url.slice(pack.folder.length).replace(/[?#].*$/, "")));
      if (file) deferred.resolve(answer(file, responseType));
      else plain(url, responseType, method, data, headers, deferred, ...more);
    });
    return undefined;
  };
}

function answer(file: Uint8Array<ArrayBuffer>, responseType: string | undefined): unknown {
  if (responseType === "arraybuffer") return file.slice().buffer;
  if (responseType === "blob") return new Blob([file]);
  const text = new TextDecoder().decode(file);
  return responseType === "json" ? JSON.parse(text) : text;
}

/** Files of a pack by name: "opg1", length of the list, the list [[name, bytes], ...], the files. None where it fails. */
async function fetchPack(url: string): Promise<Files> {
  const files: Files = new Map();
  try {
    const answered = await fetch(url);
    if (!answered.ok) return files;
    const data = await answered.arrayBuffer();
    const length = new DataView(data).getUint32(4, true);
    const told = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 8, length))) as [string, number][];
    let at = 8 + length;
    for (const [name, size] of told) {
      files.set(name, new Uint8Array(data, at, size));
      at += size;
    }
  } catch {
    files.clear();
  }
  return files;
}
