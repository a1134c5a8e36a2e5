/** What a kubelet tells of its node by events (pkg/kubelet/nodestatus/setters.go, kubelet_node_status.go). Pure. */
import type { Node } from '#api/generated/objects.ts';

export interface NodeEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** By condition: while there is too little, and while there is enough. */
const pressures: readonly (readonly [condition: string, pressed: string, free: string])[] = [
  ['MemoryPressure', 'NodeHasInsufficientMemory', 'NodeHasSufficientMemory'],
  ['DiskPressure', 'NodeHasDiskPressure', 'NodeHasNoDiskPressure'],
  ['PIDPressure', 'NodeHasInsufficientPID', 'NodeHasSufficientPID'],
];

export const startingEvent: NodeEvent = { type: 'Normal', reason: 'Starting', message: 'Starting kubelet.' };

/** Between two states of it; undefined: there was none. */
export function nodeEventsOf(before: Node | undefined, after: Node): readonly NodeEvent[] {
  const { name = '' } = after.metadata ?? {};
  const told = (reason: string): NodeEvent => ({
    type: 'Normal',
    reason,
    message: `Node ${name} status is now: ${reason}`,
  });
  const [was, is] = [verdictsOf(before), verdictsOf(after)];
  const pressed = pressures.flatMap(([type, low, enough]) => {
    const now = is.get(type);
    if (now === was.get(type) || (now !== 'True' && now !== 'False')) return [];
    return [told(now === 'True' ? low : enough)];
  });
  const isTurned = was.has('Ready') && was.get('Ready') !== is.get('Ready');
  const isBarred = after.spec?.unschedulable === true;
  return [
    ...rebooted(before, after),
    ...pressed,
    ...(isTurned ? [told(is.get('Ready') === 'True' ? 'NodeReady' : 'NodeNotReady')] : []),
    ...(isBarred === (before?.spec?.unschedulable === true)
      ? []
      : [told(isBarred ? 'NodeNotSchedulable' : 'NodeSchedulable')]),
  ];
}

function rebooted(before: Node | undefined, after: Node): readonly NodeEvent[] {
  const [was = '', is = ''] = [before, after].map((node) => node?.status?.nodeInfo?.bootID);
  if (was === '' || was === is) return [];
  const message = `Node ${after.metadata?.name ?? ''} has been rebooted, boot id: ${is}`;
  return [{ type: 'Warning', reason: 'Rebooted', message }];
}

function verdictsOf(node: Node | undefined): ReadonlyMap<string, string> {
  return new Map((node?.status?.conditions ?? []).map(({ type, status }) => [type, status]));
}
