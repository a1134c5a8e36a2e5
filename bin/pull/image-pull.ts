import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import type { PullProgress } from '#agent/runtime/images/pull-progress.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import { nodesHere, type NodeHere } from '#bin/nodes-here.ts';
import { print } from '#bin/terminal/print.ts';
import { createProgress, type OutputFormat } from '#bin/terminal/progress.ts';

const mib = 1_048_576;

interface PullOptions {
  readonly data: string;
  readonly output: OutputFormat;
}

/** Every image into every node, one after the other; one that a node does not get stops the command with its reason. */
export async function runImagePull(references: readonly string[], options: PullOptions): Promise<void> {
  const nodes = await nodesHere(options.data);
  const progress = createProgress(systemClock, options.output, print);
  for (const reference of references) {
    for (const node of nodes) {
      const began = systemClock.monotonic();
      const image = await pullInto(node, reference, (made) =>
        progress.say(renderPullProgress(node.name, reference, made), { node: node.name, reference, ...made }),
      );
      const ms = Math.round(systemClock.monotonic() - began);
      const { id, sizeBytes } = image;
      progress.say(renderPulled(node.name, reference, { image, ms }), {
        ...{ node: node.name, reference, id, sizeBytes, ms },
      });
    }
  }
}

/** @throws what the node said, with the node before it */
export async function pullInto(
  { name, control }: Pick<NodeHere, 'name' | 'control'>,
  reference: string,
  onProgress: (progress: PullProgress) => void,
): Promise<ImageRecord> {
  for await (const news of await control.pull(reference)) {
    switch (news.kind) {
      case 'progress':
        onProgress(news.progress);
        break;
      case 'pulled':
        return news.image;
      case 'failed':
        throw new PodwrightError(news.code, `${name}: ${news.message}`);
      default:
        return unreachable(news);
    }
  }
  throw new PodwrightError('E_CONNECTION', `${name}: pull ${reference}: the agent said nothing`);
}

/** Pure. */
export function renderPullProgress(node: string, reference: string, progress: PullProgress): string {
  const { layers, layersDone, bytes, bytesDone } = progress;
  const size = `${(bytesDone / mib).toFixed(1)} of ${(bytes / mib).toFixed(1)} MiB`;
  return `${node}: ${reference}: ${layersDone} of ${layers} layers, ${size}`;
}

/** Pure. */
export function renderPulled(
  node: string,
  reference: string,
  { image, ms }: { readonly image: Pick<ImageRecord, 'id' | 'sizeBytes'>; readonly ms: number },
): string {
  const id = image.id.replace('sha256:', '').slice(0, 12);
  return `${node}: pulled ${reference} as ${id}, ${(image.sizeBytes / mib).toFixed(1)} MiB in ${(ms / 1000).toFixed(1)} s`;
}
