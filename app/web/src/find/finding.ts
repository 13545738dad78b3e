// A search and what comes of it: pages of results, how many fit, and all of it kept true while one looks.
import { batch, computed, signal } from "@preact/signals";
import { Refused, ask } from "../graphql";
import { type Found, type Hit, type Named, keyOf, plural } from "./answers";
import clinicNamesQuery from "./clinic-names.graphql";
import { Facets } from "./facets";
import { type Place, Unlocated, isAllowed, located } from "./nearby";
import { type Question, datesOf, filterOf, read, written } from "./question";
import searchQuery from "./search.graphql";
import { Times } from "./times";

export type Phase = "loading" | "ready" | "failed" | "refused";
type Locating = "off" | "asking" | "on";

const PAGE = 20;
const PAGE_MAX = 100;
const EVERY_MS = 30_000; // another visit type, other counts: what no subscription tells
const EVERY_MS_ALONE = 12_000; // where nothing can be followed
const AFTER_MS = 8_000;
const URGENT_MS = 700;
const TICK_MS = 2_000;
const REFRESH_MS = 15_000; // a server gives up before

export class Finding {
  readonly question = signal<Question>(read(location.search));
  /** What stands in the box: it counts once it is searched for. */
  readonly text = signal(this.question.value.text);
  readonly phase = signal<Phase>("loading");
  readonly busy = signal(true);
  readonly problem = signal("");
  readonly hits = signal<readonly Hit[]>([]);
  readonly total = signal(0);
  readonly degraded = signal(false);
  readonly cursor = signal<string | null>(null);
  readonly adding = signal(false);
  readonly added = signal<string | null>(null);
  /** The order or the set of results is another by now; the reader says when it is shown. */
  readonly moved = signal(false);
  readonly online = signal(navigator.onLine);
  readonly old = signal(false);
  readonly locating = signal<Locating>("off");
  readonly unlocated = signal("");
  readonly spoken = signal("");
  readonly clinics = signal<ReadonlyMap<string, Named>>(new Map());
  readonly facets = new Facets();
  readonly times = new Times((urgent) => this.#due(urgent ? URGENT_MS : AFTER_MS));
  readonly title = computed(() => plural(this.total.value, "result", "results"));

  #place: Place | null = null;
  #asked = new AbortController();
  #again: ReturnType<typeof setTimeout> | undefined;
  #againAt = Number.POSITIVE_INFINITY;
  #readAt = 0;
  #refreshing = false;
  #seen: ReadonlySet<string> = new Set();

  async begin(): Promise<void> {
    setInterval(() => this.#tick(), TICK_MS);
    for (const name of ["online", "offline", "pageshow"]) addEventListener(name, () => this.#awake());
    document.addEventListener("visibilitychange", () => this.#awake());
    addEventListener("popstate", () => void this.#restore());
    await this.#restore();
  }

  /** Asks another question; the way back leads to the one before. */
  change(change: Partial<Question>): void {
    const next = { ...this.question.value, ...change };
    const address = written(next);
    if (address !== location.search) history.pushState(null, "", address || location.pathname);
    if ("text" in change) this.text.value = next.text;
    this.question.value = next;
    void this.search();
  }

  async search(): Promise<void> {
    this.#asked.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    this.#pause();
    this.busy.value = true;
    if (this.phase.value !== "ready") this.phase.value = "loading";
    try {
      const found = await this.#ask(PAGE, null, signal);
      if (signal.aborted) return;
      batch(() => {
        this.#took(found);
        this.hits.value = found.edges.map(({ node }) => node);
        this.cursor.value = found.pageInfo.hasNextPage ? found.pageInfo.endCursor : null;
        this.moved.value = this.adding.value = false;
        this.added.value = null;
        this.problem.value = "";
        this.phase.value = "ready";
        this.facets.take(found.facets, this.question.value);
      });
      this.#say(found.totalCount === 0 ? "No results." : `${this.title.value}.`);
      this.#watch();
    } catch (error) {
      if (signal.aborted) return;
      batch(() => {
        this.hits.value = [];
        const refused = error instanceof Refused && error.code === "BAD_USER_INPUT";
        this.phase.value = refused ? "refused" : "failed";
        this.problem.value = refused ? (error as Error).message : "";
      });
      this.#watch();
    } finally {
      if (!signal.aborted) this.busy.value = false;
    }
  }

  async more(): Promise<void> {
    const { signal } = this.#asked;
    const after = this.cursor.value;
    if (!after || this.adding.value) return;
    this.adding.value = true;
    try {
      const found = await this.#ask(PAGE, after, signal);
      const known = new Set(this.hits.value.map(keyOf));
      // Since the page before, somebody's place may have moved over the edge.
      const news = found.edges.map(({ node }) => node).filter((hit) => !known.has(keyOf(hit)));
      batch(() => {
        this.hits.value = [...this.hits.value, ...news];
        this.cursor.value = found.pageInfo.hasNextPage ? found.pageInfo.endCursor : null;
        this.total.value = found.totalCount;
        this.added.value = news[0] ? keyOf(news[0]) : null;
        this.problem.value = "";
      });
      this.#say(`${plural(news.length, "more result", "more results")}; ${this.hits.value.length} of ${this.total.value} are shown.`);
    } catch {
      if (!signal.aborted) this.problem.value = "More results could not be read.";
    } finally {
      if (!signal.aborted) this.adding.value = false;
    }
  }

  async nearMe(): Promise<void> {
    if (this.locating.value === "asking") return;
    if (await this.#locate()) {
      this.change({ near: true });
      this.#say("Distances are from where you are.");
    }
  }

  notNearMe(): void {
    this.#place = null;
    this.locating.value = "off";
    const sort = this.question.value.sort === "DISTANCE" ? "BEST" : this.question.value.sort;
    this.change({ near: false, within: "", sort });
  }

  /** "Nearest" asks where that is; without an answer the order stays what it was. */
  async nearest(): Promise<void> {
    if (this.#place || (await this.#locate())) this.change({ near: true, sort: "DISTANCE" });
    else this.question.value = { ...this.question.value };
  }

  get near(): Place | null {
    return this.question.value.near ? this.#place : null;
  }

  /** Which results are in sight: those are followed. */
  see(keys: ReadonlySet<string>): void {
    this.#seen = keys;
    this.#watch();
  }

  say(text: string): void {
    this.#say(text);
  }

  async #restore(): Promise<void> {
    const question = read(location.search);
    if (question.near && !this.#place && !((await isAllowed()) && (await this.#locate()))) {
      Object.assign(question, { near: false, within: "", sort: question.sort === "DISTANCE" ? "BEST" : question.sort });
    } else if (question.near) this.locating.value = "on";
    else this.locating.value = "off";
    batch(() => {
      this.question.value = question;
      this.text.value = question.text;
    });
    await this.search();
  }

  async #locate(): Promise<boolean> {
    this.locating.value = "asking";
    this.unlocated.value = "";
    try {
      this.#place = await located();
      this.locating.value = "on";
      return true;
    } catch (error) {
      this.#place = null;
      this.locating.value = "off";
      this.unlocated.value = error instanceof Unlocated ? error.message : "";
      return false;
    }
  }

  async #ask(first: number, after: string | null, signal: AbortSignal): Promise<Found> {
    const filter = filterOf(this.question.value, this.#place);
    const variables = { filter, sort: this.question.value.sort, first, after };
    return (await ask<{ search: Found }>("/graphql", searchQuery, variables, { signal })).search;
  }

  #took(found: Found): void {
    this.total.value = found.totalCount;
    this.degraded.value = found.degraded;
    this.old.value = false;
    this.#readAt = Date.now();
    const known = new Map(this.clinics.value);
    for (const { node } of found.edges) known.set(node.clinic.id, node.clinic);
    this.clinics.value = known;
    this.times.forget();
    void this.#name(found);
  }

  /** Facets of clinics are ids; those that no result has named yet are asked for. */
  async #name(found: Found): Promise<void> {
    const values = found.facets.find(({ field }) => field === "CLINIC")?.values.map(({ value }) => value) ?? [];
    const ids = [...values, ...this.question.value.clinics].filter((id) => !this.clinics.value.has(id)).slice(0, PAGE_MAX);
    if (ids.length === 0) return;
    type Nodes = { nodes: (Partial<Named> | null)[] };
    const { nodes } = await ask<Nodes>("/graphql", clinicNamesQuery, { ids }).catch((): Nodes => ({ nodes: [] }));
    const known = new Map(this.clinics.value);
    for (const one of nodes) if (one?.name) known.set(one.id as string, one as Named);
    this.clinics.value = known;
  }

  /** The same question once more, quietly: results stay where they are, what is said of them becomes true. */
  async #refresh(): Promise<void> {
    this.#pause();
    if (this.busy.value || this.phase.value !== "ready") return;
    if (this.adding.value || this.#refreshing) return this.#due(AFTER_MS);
    const { signal } = this.#asked;
    const shown = this.hits.value;
    this.#refreshing = true;
    try {
      const count = Math.min(PAGE_MAX, Math.max(PAGE, shown.length));
      const found = await this.#ask(count, null, AbortSignal.any([signal, AbortSignal.timeout(REFRESH_MS)]));
      if (signal.aborted) return;
      if (this.adding.value) return this.#due(AFTER_MS);
      const news = new Map(found.edges.map(({ node }) => [keyOf(node), node]));
      batch(() => {
        this.#took(found);
        this.hits.value = this.hits.value.map((hit) => news.get(keyOf(hit)) ?? hit);
        this.moved.value = [...news.keys()].some((key, index) => key !== (shown[index] ? keyOf(shown[index]) : null));
        this.facets.take(found.facets, this.question.value);
      });
      this.#watch();
    } catch {
      if (signal.aborted) return;
      this.old.value = Date.now() - this.#readAt > 2 * EVERY_MS;
      if (!document.hidden && navigator.onLine) this.#due(AFTER_MS); // what made it ask is not told again
    } finally {
      this.#refreshing = false;
    }
  }

  #watch(): void {
    const seen = this.hits.value.filter((hit) => this.#seen.has(keyOf(hit)));
    this.times.watch(seen, datesOf(this.question.value));
  }

  /** Many changes ask once; the moment differs between clients. */
  #due(ms: number): void {
    const at = Date.now() + ms * (0.75 + Math.random() / 2);
    if (at >= this.#againAt) return;
    this.#pause();
    this.#againAt = at;
    this.#again = setTimeout(() => void this.#refresh(), at - Date.now());
  }

  #pause(): void {
    clearTimeout(this.#again);
    this.#againAt = Number.POSITIVE_INFINITY;
  }

  #tick(): void {
    this.times.tick();
    const age = Date.now() - this.#readAt;
    if (document.hidden || !navigator.onLine || this.phase.value !== "ready" || this.#againAt < Number.POSITIVE_INFINITY) return;
    if (age > (this.times.alive ? EVERY_MS : EVERY_MS_ALONE)) this.#due(URGENT_MS);
  }

  #awake(): void {
    const before = this.online.value;
    this.online.value = navigator.onLine;
    if (before && !navigator.onLine) this.#say("You are offline. The times may be out of date.");
    if (document.hidden || !navigator.onLine) return;
    if (this.phase.value === "failed") void this.search();
    else if (this.phase.value === "loading") return; // a page is told that it is shown before its first answer has come
    else if (!before || Date.now() - this.#readAt > AFTER_MS) this.#due(URGENT_MS);
  }

  #say(text: string): void {
    // The same words twice are two texts to a live region only if they differ.
    this.spoken.value = this.spoken.value === text ? `${text}\u00a0` : text;
  }
}
