import type { FeatureCollection } from "./types.ts";

/** What went wrong with one request, in words a person can act on. */
export class ServiceError extends Error {
  readonly url: string;
  readonly status: number;
  constructor(url: string, status: number, detail: string) {
    super(detail);
    this.name = "ServiceError";
    this.url = url;
    this.status = status;
  }
}

/** The server stands one folder above the page, so path prefixes of proxies keep working. */
export class Api {
  readonly base: URL;
  constructor(page: string) {
    this.base = new URL("../", page);
  }

  url(path: string): string {
    if (/^https?:/.test(path)) return path;
    return new URL(path.replace(/^\/+/, ""), this.base).href;
  }

  async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    return this.#ask<T>(path, { headers: { Accept: "application/geo+json, application/json;q=0.9" }, signal });
  }

  async post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
    return this.#ask<T>(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
      signal,
    });
  }

  /** Every page of a collection, following the server's own next links. */
  async features(path: string, most = 60000): Promise<FeatureCollection["features"]> {
    const all: FeatureCollection["features"] = [];
    let next: string | undefined = path;
    while (next && all.length < most) {
      const page: FeatureCollection = await this.get<FeatureCollection>(next);
      all.push(...page.features);
      next = page.links?.find((link) => link.rel === "next")?.href;
    }
    return all;
  }

  async #ask<T>(path: string, init: RequestInit & { signal?: AbortSignal | undefined }): Promise<T> {
    const url = this.url(path);
    let answer: Response;
    try {
      answer = await fetch(url, init as RequestInit);
    } catch (error) {
      if ((error as Error).name === "AbortError") throw error;
      throw new ServiceError(url, 0, (error as Error).message);
    }
    if (!answer.ok) {
      const problem = (await answer.json().catch(() => ({}))) as { title?: string; detail?: string };
      throw new ServiceError(url, answer.status, problem.detail ?? problem.title ?? answer.statusText);
    }
    return (await answer.json()) as T;
  }
}
