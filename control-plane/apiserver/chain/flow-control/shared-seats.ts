import type { FlowSchema, PriorityLevelConfiguration } from '#api/generated/objects.ts';
import type { Clock } from '#base/clock.ts';
import { mandatoryLevels, mandatorySchemas } from './bootstrap-objects.ts';
import { readFlowSchema, type SchemaRules } from './flow-schema.ts';
import { FlowTable, inOrder, Schema } from './flow-table.ts';
import { Level, readLevelSpec } from './level.ts';
import { computeLevelSeats, type LevelSeats, type LevelSpec } from './queue/level-seats.ts';
import { shareOut } from './queue/share-out.ts';

/** How often seats are lent and given back (KEP-1040). */
export const borrowingMs = 10_000;

/** A level that there is, or was and still has requests. */
interface Wanted {
  readonly uid: string;
  readonly spec: LevelSpec;
  readonly isQuiescing: boolean;
}

/** The levels of a server, and which requests are whose: as FlowSchemas and PriorityLevelConfigurations say. */
export class SharedSeats {
  readonly total: number;
  /** What part of what it wants a level has that no bound holds. */
  fairFraction = 0;
  readonly #clock: Clock;
  readonly #levels = new Map<string, Level>();
  #table: FlowTable<Level>;
  /** What is to be taken over, the next time that somebody asks. */
  #news: (() => void) | undefined;

  constructor(total: number, clock: Clock) {
    this.total = total;
    this.#clock = clock;
    this.#table = this.#takeOver([], []);
  }

  /** What it goes by is another: `read` gives it, when the next request comes. */
  outdate(
    read: () => {
      readonly schemas: readonly FlowSchema[];
      readonly levels: readonly PriorityLevelConfiguration[];
    },
  ): void {
    this.#news = () => {
      const { schemas, levels } = read();
      this.#table = this.#takeOver(schemas, levels);
    };
  }

  get table(): FlowTable<Level> {
    if (this.#news !== undefined) this.#hear(this.#news);
    return this.#table;
  }

  get levels(): ReadonlyMap<string, Level> {
    if (this.#news !== undefined) this.#hear(this.#news);
    return this.#levels;
  }

  /** Lends seats to levels that want more than they have, of those who want less; nobody below what they keep for themselves. */
  adjust(): void {
    for (const level of this.#levels.values())
      if (level.isQuiescing && level.queue.isIdle) this.#remove(level);
    const levels = [...this.#levels.values()];
    const demands = levels.map((level) => level.takeDemand());
    const wants = levels.map(({ seats }, index) => {
      const { seen, smoothed } = demands[index] ?? { seen: { highest: 0 }, smoothed: 0 };
      const lower = Math.max(seats.min, Math.min(seats.nominal, seen.highest));
      return { lower, upper: seats.max, target: Math.max(lower, smoothed) };
    });
    const nominal = levels.reduce((sum, { seats }) => sum + seats.nominal, 0);
    const shared = shareOut(nominal, wants);
    this.fairFraction = shared?.fairFraction ?? this.fairFraction;
    for (const [index, level] of levels.entries()) {
      const demand = demands[index];
      if (demand !== undefined) level.demand = { ...demand, target: wants[index]?.target ?? 0 };
      level.configure(Math.round(shared?.seats[index] ?? level.queue.setup.limit));
    }
  }

  [Symbol.dispose](): void {
    for (const level of this.#levels.values()) level[Symbol.dispose]();
  }

  #hear(news: () => void): void {
    this.#news = undefined;
    news();
  }

  #takeOver(schemas: readonly FlowSchema[], levels: readonly PriorityLevelConfiguration[]): FlowTable<Level> {
    const wanted = this.#wantedLevels(levels);
    const seats = computeLevelSeats(new Map([...wanted].map(([name, { spec }]) => [name, spec])), this.total);
    for (const [name, { uid, spec, isQuiescing }] of wanted) {
      const own = seats.get(name);
      if (own !== undefined) this.#put({ name, uid, spec, seats: own, isQuiescing });
    }
    for (const level of this.#levels.values()) if (!wanted.has(level.name)) this.#remove(level);
    this.adjust();
    return this.#tableOf(schemas.map(readFlowSchema));
  }

  /** Those that are stored, those that must be, and those that somebody is still in. */
  #wantedLevels(levels: readonly PriorityLevelConfiguration[]): ReadonlyMap<string, Wanted> {
    const wanted = new Map<string, Wanted>();
    for (const level of [...mandatoryLevels, ...levels]) {
      const { name = '', uid = '' } = level.metadata ?? {};
      wanted.set(name, { uid, spec: readLevelSpec(level), isQuiescing: false });
    }
    for (const { name, uid, spec, queue } of this.#levels.values())
      if (!wanted.has(name) && !queue.isIdle) wanted.set(name, { uid, spec, isQuiescing: true });
    return wanted;
  }

  #put({
    isQuiescing,
    ...given
  }: {
    readonly name: string;
    readonly uid: string;
    readonly spec: LevelSpec;
    readonly seats: LevelSeats;
    readonly isQuiescing: boolean;
  }): void {
    let level = this.#levels.get(given.name);
    if (level === undefined) this.#levels.set(given.name, (level = new Level(given, this.#clock)));
    Object.assign(level, given, { isQuiescing });
  }

  #remove(level: Level): void {
    this.#levels.delete(level.name);
    level[Symbol.dispose]();
  }

  /** Schemas of levels that there are. What must be is there, whatever is stored. */
  #tableOf(stored: readonly SchemaRules[]): FlowTable<Level> {
    const usable = stored.filter(({ level }) => this.#levels.get(level)?.isQuiescing === false);
    const added = mandatorySchemas.filter(({ name }) => !usable.some((each) => each.name === name));
    const schemas = inOrder([...usable, ...added]).flatMap((rules) => {
      const level = this.#levels.get(rules.level);
      return level === undefined ? [] : [new Schema(rules, level)];
    });
    const last = schemas.find(({ rules }) => rules.name === 'catch-all');
    if (last === undefined) throw new TypeError('there is a FlowSchema catch-all');
    return new FlowTable(schemas, last);
  }
}
