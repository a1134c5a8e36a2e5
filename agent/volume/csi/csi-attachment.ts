import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { nodes, volumeAttachments } from '#api/schema/kind-ref.ts';
import type { VolumeAttachment } from '#api/generated/objects.ts';
import { attachedName, attachmentName } from '#api/volume/attachment.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';

/** Volumes that somebody attaches to the node before they are mounted. */
export interface CsiAttachments {
  /**
   * What the driver's attacher said of it, once it is attached. That the node is about to use it stands on the Node before: who takes
   * volumes from nodes writes the Node on condition that it does not. @throws {E_TIMEOUT} tried again
   */
  await(
    wish: { readonly driver: string; readonly handle: string },
    inUse: readonly string[],
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>>>;
}

export interface CsiAttachmentsOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly clock: Clock;
}

/** Longer, and the pod is told of it; it is tried again. */
const waitMsMax = 15_000;
const firstLookMs = 50;
const lookMsMax = 1_000;

export function createCsiAttachments({ client, nodeName, clock }: CsiAttachmentsOptions): CsiAttachments {
  const find = async (name: string): Promise<VolumeAttachment | undefined> => {
    try {
      return await client.get(volumeAttachments, { name });
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  const noteInUse = async (inUse: readonly string[]): Promise<void> => {
    const { status } = await client.get(nodes, { name: nodeName });
    if (inUse.every((name) => status?.volumesInUse?.includes(name) === true)) return;
    const body = { status: { volumesInUse: [...new Set([...(status?.volumesInUse ?? []), ...inUse])] } };
    await client.patch(nodes, { name: nodeName }, { kind: 'merge', body, subresource: 'status' });
  };
  return {
    await: async ({ driver, handle }, inUse, signal) => {
      const source = { driver, volumeHandle: handle };
      const [own, name] = [attachedName(source), attachmentName(source, nodeName)];
      await noteInUse(inUse);
      const until = clock.monotonic() + waitMsMax;
      for (let lookMs = firstLookMs; ; lookMs = Math.min(2 * lookMs, lookMsMax)) {
        const [node, attachment] = await Promise.all([client.get(nodes, { name: nodeName }), find(name)]);
        const { attached, attachError, attachmentMetadata = {} } = attachment?.status ?? {};
        const isTold = node.status?.volumesAttached?.some((one) => one.name === own) === true;
        if (attached === true && isTold && attachment?.metadata?.deletionTimestamp === undefined)
          return attachmentMetadata;
        if (clock.monotonic() >= until)
          throw new PodwrightError(
            'E_TIMEOUT',
            attachError?.message === undefined
              ? `timed out waiting for external-attacher of ${driver} CSI driver to attach volume ${handle}`
              : `volume ${handle} is not attached: ${attachError.message}`,
          );
        await clock.sleep(lookMs, signal);
      }
    },
  };
}
