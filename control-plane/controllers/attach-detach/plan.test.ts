import { describe, expect, it } from 'vitest';
import type { Node, PersistentVolume, Pod, VolumeAttachment } from '#api/generated/objects.ts';
import {
  attachedName,
  attachmentName,
  managedAttachAnnotation,
  outOfServiceTaint,
} from '#api/volume/attachment.ts';
import { planAttach, unmountMsMax, type AttachInput } from './plan.ts';

const source = { driver: 'd', volumeHandle: 'h' };
const name = attachedName(source);
const volume: PersistentVolume = {
  metadata: { name: 'pv' },
  spec: { csi: source, accessModes: ['ReadWriteOnce'] },
};
const shared: PersistentVolume = { ...volume, spec: { ...volume.spec, accessModes: ['ReadWriteMany'] } };
const pod = (podName: string, node: string, rest: Partial<Pod> = {}): Pod => ({
  metadata: { name: podName, namespace: 'ns', uid: podName },
  spec: { containers: [], nodeName: node },
  ...rest,
});
const node = (
  rest: Partial<NonNullable<Node['status']>> = {},
  spec: Node['spec'] = {},
  ready = 'True',
): Node => ({
  metadata: { annotations: { [managedAttachAnnotation]: 'true' } },
  spec,
  status: { conditions: [{ type: 'Ready', status: ready }], ...rest },
});
const attachment = (nodeName: string, rest: Partial<VolumeAttachment> = {}): VolumeAttachment => ({
  metadata: { name: attachmentName(source, nodeName) },
  spec: { attacher: 'd', nodeName, source: { persistentVolumeName: 'pv' } },
  status: { attached: true },
  ...rest,
});
const using = { volumesInUse: [name], volumesAttached: [{ name, devicePath: '' }] };
const told = (input: Partial<AttachInput>): readonly string[] =>
  planAttach({
    ...{
      volume,
      isRequired: true,
      attachments: [],
      pods: [],
      node: () => node(),
      unwantedMs: () => 0,
      waitsForSilentNodes: false,
      ...input,
    },
  }).map((step) => {
    if (step.kind === 'attach') return `attach ${step.attachment.spec.nodeName}`;
    if (step.kind === 'note') return `note ${step.nodeName}`;
    if (step.kind === 'detach')
      return `detach ${step.attachment.spec.nodeName}${step.force === undefined ? '' : ` by force: ${step.force}`}`;
    return step.kind === 'warn'
      ? `${step.pod.metadata?.name ?? ''}: ${step.message}`
      : `again in ${step.afterMs}`;
  });

interface Row {
  readonly name: string;
  readonly given: Partial<AttachInput>;
  readonly want: readonly string[];
}

const rows: readonly Row[] = [
  { name: 'nobody wants it', given: {}, want: [] },
  { name: 'a pod came to a node', given: { pods: [pod('p', 'n1')] }, want: ['attach n1'] },
  { name: 'two pods of one node', given: { pods: [pod('p', 'n1'), pod('q', 'n1')] }, want: ['attach n1'] },
  { name: 'a driver that attaches nothing', given: { pods: [pod('p', 'n1')], isRequired: false }, want: [] },
  { name: 'a node whose kubelet attaches', given: { pods: [pod('p', 'n1')], node: () => ({}) }, want: [] },
  {
    name: 'a pod that is over',
    given: { pods: [pod('p', 'n1', { status: { phase: 'Failed' } })] },
    want: [],
  },
  {
    name: 'it is attached',
    given: { pods: [pod('p', 'n1')], attachments: [attachment('n1')] },
    want: ['note n1'],
  },
  {
    name: 'the Node says so',
    given: { pods: [pod('p', 'n1')], attachments: [attachment('n1')], node: () => node(using) },
    want: [],
  },
  {
    name: 'the driver cannot',
    given: {
      pods: [pod('p', 'n1')],
      attachments: [attachment('n1', { status: { attached: false, attachError: { message: 'no' } } })],
    },
    want: ['p: AttachVolume.Attach failed for volume "pv" : no'],
  },
  {
    name: 'another node has it',
    given: { pods: [pod('p', 'n2')], attachments: [attachment('n1')], node: () => node(using) },
    want: [
      'p: Multi-Attach error for volume "pv" Volume is already exclusively attached to one node and can\'t be attached to another',
    ],
  },
  {
    name: 'pods of another node have it',
    given: {
      pods: [pod('p', 'n2'), pod('q', 'n1')],
      attachments: [attachment('n1')],
      node: () => node(using),
    },
    want: ['p: Multi-Attach error for volume "pv" Volume is already used by pod(s) q'],
  },
  {
    name: 'a volume of many nodes',
    given: {
      volume: shared,
      pods: [pod('p', 'n2'), pod('q', 'n1')],
      attachments: [attachment('n1')],
      node: () => node(using),
    },
    want: ['attach n2'],
  },
  { name: 'nobody wants it any more', given: { attachments: [attachment('n1')] }, want: ['detach n1'] },
  { name: 'its node uses it', given: { attachments: [attachment('n1')], node: () => node(using) }, want: [] },
  {
    name: 'its node is gone',
    given: { attachments: [attachment('n1')], node: () => undefined },
    want: ['detach n1 by force: gone'],
  },
  {
    name: 'its node is silent',
    given: { attachments: [attachment('n1')], node: () => node(using, {}, 'Unknown') },
    want: [`again in ${unmountMsMax}`],
  },
  {
    name: 'its node is silent for long',
    given: {
      attachments: [attachment('n1')],
      node: () => node(using, {}, 'Unknown'),
      unwantedMs: () => unmountMsMax,
    },
    want: ['detach n1 by force: timeout'],
  },
  {
    name: 'its node is silent for long, and is to be waited for',
    given: {
      attachments: [attachment('n1')],
      node: () => node(using, {}, 'Unknown'),
      unwantedMs: () => unmountMsMax,
      waitsForSilentNodes: true,
    },
    want: [],
  },
  {
    name: 'its node is out of service',
    given: {
      attachments: [attachment('n1')],
      node: () => node(using, { taints: [{ key: outOfServiceTaint, effect: 'NoExecute' }] }, 'Unknown'),
    },
    want: ['detach n1 by force: out-of-service'],
  },
  {
    name: 'an attachment of somebody else',
    given: { attachments: [attachment('n1', { metadata: { name: 'theirs' } })] },
    want: [],
  },
];

describe('planAttach()', () => {
  it.each(rows)('$name', ({ given, want }) => expect(told(given)).toEqual(want));
});
