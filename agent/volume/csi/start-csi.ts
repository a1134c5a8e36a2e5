import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { csiDrivers } from '#api/schema/kind-ref.ts';
import type { Informers } from '#client/informers.ts';
import type { PluginHandler } from '#agent/plugin/plugin.ts';
import type { VolumeCounts } from '#agent/volume/counts/volume-counts.ts';
import type { CsiVolumes, Mounter } from '#agent/volume/volume.ts';
import { createCsiAttachments } from './csi-attachment.ts';
import { createCsiDrivers, type CsiDrivers } from './csi-drivers.ts';
import { createCsiNodeWriter, type CsiNodeWriter } from './csi-node.ts';
import { csiPaths } from './csi-paths.ts';
import { createCsiVolumes } from './csi-volumes.ts';
import { kubeletView } from './kubelet-view.ts';
import { followAllocatable } from './follow-allocatable.ts';
import { startUnstaging } from './start-unstaging.ts';

export interface CsiOptions {
  readonly informers: Informers;
  readonly nodeName: string;
  /** The root that drivers know. */
  readonly kubeletDirectory: string;
  readonly podsDirectory: string;
  readonly mounter: Mounter;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly bootId: string;
  readonly counts?: VolumeCounts | undefined;
  readonly onReleased: () => void;
}

/** A node's drivers of volumes, and what they do for pods. */
export interface Csi extends AsyncDisposable {
  readonly drivers: CsiDrivers;
  /** For the plugin watcher: type CSIPlugin. */
  readonly plugins: PluginHandler;
  readonly volumes: CsiVolumes;
  /** Its CSINode is made once the Node is there, however often that is tried. Disposing ends the trying. */
  startWhen(registered: Promise<unknown>): AsyncDisposable;
}

export function createCsi(options: CsiOptions): Csi {
  const { informers, nodeName, clock, logger, mounter, bootId, podsDirectory, onReleased } = options;
  const { client } = informers;
  const objects = informers.for(csiDrivers);
  const driverObject = async (name: string): Promise<ReturnType<typeof objects.get>> => {
    await objects.synced;
    return objects.get(name);
  };
  const writer = createCsiNodeWriter({ client, nodeName });
  const plain = createCsiDrivers({
    clock,
    logger,
    counts: options.counts,
    tell: writer,
    view: kubeletView(options.kubeletDirectory),
  });
  const paths = csiPaths(options.kubeletDirectory);
  const attachments = createCsiAttachments({ client, nodeName, clock });
  const volumes = createCsiVolumes({
    ...{
      drivers: plain,
      attachments,
      paths,
      podsDirectory,
      driverObject,
      mounter,
      clock,
      bootId,
      onReleased,
    },
  });
  const { unstageUnused } = volumes;
  const unstaging = startUnstaging({ drivers: plain, unstageUnused, clock, logger });
  const drivers: CsiDrivers = {
    ...plain,
    register: async (driver) => {
      await plain.register(driver);
      // Beside: a driver that hangs at an old volume is a driver all the same.
      unstaging.start(driver.name);
    },
  };
  const following = followAllocatable({ drivers, objects, writer, clock, logger });
  return {
    drivers,
    volumes: {
      ...volumes,
      unstageSoon: () => {
        for (const { name } of plain.list()) unstaging.start(name);
      },
    },
    plugins: handlerOf(drivers),
    startWhen: (registered) => ensureWhen(registered, { writer, clock, logger }),
    [Symbol.asyncDispose]: async () => {
      unstaging[Symbol.dispose]();
      await following[Symbol.asyncDispose]();
      plain[Symbol.dispose]();
    },
  };
}

function handlerOf(drivers: CsiDrivers): PluginHandler {
  return {
    validate: ({ name, versions }) => {
      if (chooseMajor(versions)) return;
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `CSI driver ${name} has versions ${versions.join(', ')}: 1.x is served`,
      );
    },
    register: (plugin) => drivers.register(plugin),
    deregister: (plugin) => drivers.remove(plugin),
  };
}

function chooseMajor(versions: readonly string[]): boolean {
  return versions.some((version) => /^v?1\./.test(version));
}

const retryMs = 1_000;

function ensureWhen(
  registered: Promise<unknown>,
  { writer, clock, logger }: Pick<CsiOptions, 'clock' | 'logger'> & { readonly writer: CsiNodeWriter },
): AsyncDisposable {
  const abort = new AbortController();
  const work = (async () => {
    await registered;
    for (;;) {
      try {
        return await writer.ensure();
      } catch (error) {
        logger.warn({ error: describeError(error), retryMs }, 'CSINode not made: trying again');
      }
      await clock.sleep(retryMs, abort.signal);
    }
  })().catch(() => undefined); // Ends with the signal, or the node that never registered.
  return {
    [Symbol.asyncDispose]: async () => {
      abort.abort(new DOMException('stopped', 'AbortError'));
      await work;
    },
  };
}
