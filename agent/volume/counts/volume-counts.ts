/** What became of volumes since the agent began, for /metrics. */
import type { Clock } from '#base/clock.ts';
import { labelValuesMax, timed } from '#agent/device/device-counts.ts';
import { SecondsHistogram, shortBucketsSeconds } from '#agent/kubelet/stats/seconds-histogram.ts';
import type { PersistentVolume, Pod, Volume } from '#api/generated/objects.ts';
import { modeOf } from '#api/volume/match.ts';
import { csiPlugin, pluginOfVolume } from '#api/volume/plugin.ts';
import { goName } from '#proto/rpc-error.ts';
import { statusNameOf } from '#proto/status.ts';

/** Seconds, of all that storage does (pkg/volume/util/metrics.go). */
const bucketsSeconds: readonly number[] = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600];

/** What Kubernetes calls who mounts a field of `spec.volumes[]` (GetPluginName below pkg/volume); claims are their volume's. */
const pluginOfField: { readonly [Field in keyof Volume]?: string } = {
  emptyDir: 'kubernetes.io/empty-dir',
  configMap: 'kubernetes.io/configmap',
  secret: 'kubernetes.io/secret',
  projected: 'kubernetes.io/projected',
  downwardAPI: 'kubernetes.io/downward-api',
  hostPath: 'kubernetes.io/host-path',
  image: 'kubernetes.io/image',
  nfs: 'kubernetes.io/nfs',
};
/** Plugins that mount anew at each look at the pod (RequiresRemount below pkg/volume): each time is an operation. */
const remounted: ReadonlySet<string> = new Set([
  ...['kubernetes.io/configmap', 'kubernetes.io/secret', 'kubernetes.io/projected'],
  'kubernetes.io/downward-api',
]);

/** Who mounts a volume, and whether as a device. */
export interface VolumePlugin {
  /** `kubernetes.io/secret`, `kubernetes.io/csi:DRIVER` */
  readonly name: string;
  readonly isDevice: boolean;
}

/** Of a volume that a claim is bound to. */
export function pluginOfClaimed(volume: PersistentVolume): VolumePlugin {
  return { name: pluginOfVolume(volume) ?? 'kubernetes.io/host-path', isDevice: modeOf(volume) === 'Block' };
}

/** Of what a pod says itself; undefined: a claim, or what this node does not have. */
function pluginOf(volume: Volume): VolumePlugin | undefined {
  if (volume.csi !== undefined) return { name: csiPlugin(volume.csi.driver), isDevice: false };
  const isField = (key: string): key is keyof Volume => key in pluginOfField;
  const field = Object.keys(volume).find(isField);
  const name = field === undefined ? undefined : pluginOfField[field];
  return name === undefined ? undefined : { name, isDevice: false };
}

/** How often something was tried, and went wrong. */
export interface Tries {
  tries: number;
  failures: number;
}

/** By which means it is known what a volume uses (metrics_du.go and metrics_statfs.go of pkg/volume). */
export type MeasureSource = 'du' | 'statfs';

type Monotonic = Pick<Clock, 'monotonic'>;

export class VolumeCounts {
  /** `PLUGIN OPERATION STATUS` */
  readonly operations: Map<string, SecondsHistogram> = new Map();
  /** Of drivers: `DRIVER METHOD STATUS` */
  readonly calls: Map<string, SecondsHistogram> = new Map();
  /** Of looks at what volumes use, by how: `du`, `statfs`. */
  readonly measures: Map<string, SecondsHistogram> = new Map();
  /** Volumes that an earlier agent left, which this one found as it began; failures: their records cannot be read. */
  readonly reconstructed: Tries = { tries: 0, failures: 0 };
  /** Volumes that were undone without a record that can be read. */
  readonly forceCleaned: Tries = { tries: 0, failures: 0 };
  /** Pods of which nothing else was left, in the last look for their volumes. */
  readonly orphans: { cleaned: number; failed: number } = { cleaned: 0, failed: 0 };
  /** What pods have, by uid and name of the volume. */
  readonly #mounted = new Map<string, Map<string, VolumePlugin>>();
  readonly #clock: Monotonic;

  constructor(clock: Monotonic) {
    this.#clock = clock;
  }

  /** One volume of a pod comes. `work` says who mounts it where the pod does not say so; what fails before is no operation. */
  async mounting<T>(
    uid: string,
    volume: Volume,
    work: (tellPlugin: (plugin: VolumePlugin) => void) => Promise<T>,
  ): Promise<T> {
    let plugin = pluginOf(volume);
    const done = await this.#timed(
      () => work((told) => (plugin = told)),
      (seconds, error) => {
        if (plugin === undefined) return;
        const isThere = this.#mounted.get(uid)?.has(volume.name) === true;
        if (isThere && error === undefined && !remounted.has(plugin.name)) return;
        this.#note(plugin.isDevice ? 'map_volume' : 'volume_mount', plugin, { seconds, error });
      },
    );
    if (plugin !== undefined) {
      const own = this.#mounted.get(uid) ?? new Map<string, VolumePlugin>();
      this.#mounted.set(uid, own.set(volume.name, plugin));
    }
    return done;
  }

  /** All volumes of a pod go, together: each took as long. */
  async unmounting<T>(uid: string, work: () => Promise<T>): Promise<T> {
    const done = await this.#timed(work, (seconds, error) => {
      for (const plugin of this.#mounted.get(uid)?.values() ?? [])
        this.#note(plugin.isDevice ? 'unmap_volume' : 'volume_unmount', plugin, { seconds, error });
    });
    this.#mounted.delete(uid);
    return done;
  }

  /** A call of a driver's node service. */
  calling<T>(driver: string, method: string, work: () => Promise<T>): Promise<T> {
    return this.#timed(work, (seconds, error) => {
      const status = error === undefined ? 'OK' : goName(statusNameOf(error));
      observe(this.calls, `${driver} /csi.v1.Node/${method} ${status}`, seconds);
    });
  }

  /** A look at what a volume uses took so long. */
  measured(source: MeasureSource, seconds: number): void {
    const histogram = this.measures.get(source) ?? new SecondsHistogram(shortBucketsSeconds);
    this.measures.set(source, histogram);
    histogram.observe(seconds);
  }

  /** How many volumes there are, by plugin: those that pods have, and those that pods are to have as far as it is known who mounts them. */
  totals(desired: readonly Pod[]): Readonly<Record<'actual' | 'desired', ReadonlyMap<string, number>>> {
    const wanted = desired.flatMap(({ metadata, spec }) =>
      (spec?.volumes ?? []).map(
        (volume) => pluginOf(volume) ?? this.#mounted.get(metadata?.uid ?? '')?.get(volume.name),
      ),
    );
    return {
      actual: tally([...this.#mounted.values()].flatMap((volumes) => [...volumes.values()])),
      desired: tally(wanted),
    };
  }

  #timed<T>(work: () => Promise<T>, tell: (seconds: number, error: unknown) => void): Promise<T> {
    return timed(work, () => this.#clock.monotonic(), tell);
  }

  #note(
    operation: string,
    { name }: VolumePlugin,
    { seconds, error }: { readonly seconds: number; readonly error: unknown },
  ): void {
    const status = error === undefined ? 'success' : 'fail-unknown';
    observe(this.operations, `${name} ${operation} ${status}`, seconds);
  }
}

/** Names of drivers come from users: of so many the first are told. */
function observe(histograms: Map<string, SecondsHistogram>, key: string, seconds: number): void {
  const known = histograms.get(key);
  if (known === undefined && histograms.size >= labelValuesMax) return;
  const histogram = known ?? new SecondsHistogram(bucketsSeconds);
  histograms.set(key, histogram);
  histogram.observe(seconds);
}

function tally(plugins: readonly (VolumePlugin | undefined)[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const plugin of plugins) {
    if (plugin !== undefined) counts.set(plugin.name, (counts.get(plugin.name) ?? 0) + 1);
  }
  return counts;
}
