import type { Api } from "./api.ts";
import { valueLevel, type ValueLevel } from "./format.ts";
import { Store } from "./store.ts";
import type { City, Incident, Stream, Thing } from "./types.ts";
import { incidentFrom, incidentsFrom, instant, pairFrom, thingsFrom } from "./wire.ts";

const KEEP = 120;
const ORDER: ValueLevel[] = ["none", "normal", "warn", "alarm"];
export type Connection = "connecting" | "live" | "offline";

export interface LiveState {
  connection: Connection;
  /** City time of the newest observation, ms UTC; NaN before the first. */
  now: number;
  alarms: number;
  /** Things and incidents have been read. */
  known: boolean;
}

/** Everything that is alive: one snapshot, then one event stream for the whole page. */
export class Live {
  readonly things = new Map<string, Thing>();
  readonly streams = new Map<string, Stream>();
  readonly incidents = new Map<string, Incident>();
  readonly state = new Store<LiveState>({ connection: "connecting", now: Number.NaN, alarms: 0, known: false });
  readonly #api: Api;
  readonly #paths: NonNullable<City["live"]>;
  #observed = new Set<(thing: Thing) => void>();
  #happened = new Set<(incident: Incident, fresh: boolean) => void>();
  #source: EventSource | null = null;
  #last = "";

  constructor(api: Api, paths: NonNullable<City["live"]>) {
    this.#api = api;
    this.#paths = paths;
  }

  onObservation(call: (thing: Thing) => void): void {
    this.#observed.add(call);
  }

  onIncident(call: (incident: Incident, fresh: boolean) => void): void {
    this.#happened.add(call);
  }

  async open(): Promise<void> {
    const [things, incidents] = await Promise.all([
      this.#api.get<unknown>(this.#paths.things),
      this.#api.get<unknown>("/incidents").catch(() => []),
    ]);
    for (const thing of thingsFrom(things)) {
      this.things.set(thing.oid, thing);
      for (const stream of thing.streams) this.streams.set(stream.oid, stream);
    }
    for (const incident of incidentsFrom(incidents)) this.incidents.set(incident.oid, incident);
    await this.#snapshot();
    this.state.set({ known: true });
    this.#listen();
  }

  levelOf(thing: Thing): ValueLevel {
    let worst: ValueLevel = "none";
    for (const stream of thing.streams) {
      const level = valueLevel(stream.values.at(-1), stream.warn, stream.alarm);
      if (ORDER.indexOf(level) > ORDER.indexOf(worst)) worst = level;
    }
    return worst;
  }

  /** The stream to show on a pin: the worst one, the first where all are calm. */
  mainStream(thing: Thing): Stream | undefined {
    return [...thing.streams].sort(
      (a, b) =>
        ORDER.indexOf(valueLevel(b.values.at(-1), b.warn, b.alarm)) - ORDER.indexOf(valueLevel(a.values.at(-1), a.warn, a.alarm)),
    )[0];
  }

  async #snapshot(): Promise<void> {
    const latest = await this.#api.get<{ seq?: number; values?: Record<string, unknown> }>(this.#paths.latest);
    this.#last = latest.seq === undefined ? "" : String(latest.seq);
    for (const [oid, pair] of Object.entries(latest.values ?? {})) {
      const [time, value] = pairFrom(pair);
      this.#take(oid, time, value, false);
    }
    this.#tally();
  }

  #listen(): void {
    const url = new URL(this.#api.url(this.#paths.events));
    url.searchParams.set("topics", "observations,incidents");
    if (this.#last) url.searchParams.set("last_event_id", this.#last);
    const source = new EventSource(url);
    this.#source = source;
    source.addEventListener("open", () => this.state.set({ connection: "live" }));
    source.addEventListener("error", () => this.#interrupted(source));
    source.addEventListener("observation", (event) => {
      const data = JSON.parse(event.data as string) as Record<string, unknown>;
      this.#take(String(data["datastream"]), instant(data["time"]), Number(data["value"]), true);
    });
    source.addEventListener("incident", (event) => {
      const incident = incidentFrom(JSON.parse(event.data as string) as Record<string, unknown>);
      const fresh = !this.incidents.has(incident.oid);
      this.incidents.set(incident.oid, incident);
      for (const call of this.#happened) call(incident, fresh);
    });
    source.addEventListener("gap", () => void this.#snapshot().catch(() => this.state.set({ connection: "offline" })));
  }

  #interrupted(source: EventSource): void {
    this.state.set({ connection: "offline" });
    // The browser reconnects by itself unless the server refused; then we ask again with a fresh snapshot.
    if (source.readyState !== EventSource.CLOSED) return;
    window.setTimeout(() => {
      if (this.#source !== source) return;
      void this.#snapshot()
        .then(() => this.#listen())
        .catch(() => this.#interrupted(source));
    }, 5000);
  }

  #take(oid: string, time: number, value: number, tell: boolean): void {
    const stream = this.streams.get(oid);
    if (!stream || !Number.isFinite(value)) return;
    if (stream.times.at(-1) === time && stream.values.at(-1) === value) return;
    // The replayed day begins anew: older values belong to another round.
    if ((stream.times.at(-1) ?? 0) > time) {
      stream.times.length = 0;
      stream.values.length = 0;
    }
    stream.times.push(time);
    stream.values.push(value);
    if (stream.values.length > KEEP) {
      stream.times.shift();
      stream.values.shift();
    }
    if (!tell) return;
    this.#tally(time);
    const thing = this.things.get(stream.thing);
    if (thing) for (const call of this.#observed) call(thing);
  }

  #tally(time?: number): void {
    let newest = time ?? Number.NaN;
    let alarms = 0;
    for (const thing of this.things.values()) {
      if (this.levelOf(thing) === "alarm") alarms += 1;
      if (time === undefined) {
        for (const stream of thing.streams) {
          const at = stream.times.at(-1) ?? Number.NaN;
          if (!(newest >= at) && Number.isFinite(at)) newest = at;
        }
      }
    }
    this.state.set({ alarms, now: newest });
  }
}
