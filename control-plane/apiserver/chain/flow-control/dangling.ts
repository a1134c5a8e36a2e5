import type { FlowSchema, FlowSchemaCondition } from '#api/generated/objects.ts';

/** What a FlowSchema's status has to say of its level; undefined: it says so. Pure. @param now RFC 3339 */
export function danglingCondition(
  { spec, status }: FlowSchema,
  { hasLevel, now }: { readonly hasLevel: (name: string) => boolean; readonly now: string },
): FlowSchemaCondition | undefined {
  const name = spec?.priorityLevelConfiguration.name ?? '';
  const isThere = hasLevel(name);
  const references = `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(name)}`;
  const wanted = {
    type: 'Dangling',
    status: isThere ? 'False' : 'True',
    reason: isThere ? 'Found' : 'NotFound',
    message: `${references} ${isThere ? 'and it exists' : 'but there is no such object'}`,
  };
  const present = status?.conditions?.find(({ type }) => type === wanted.type);
  const isSame =
    present?.status === wanted.status &&
    present.reason === wanted.reason &&
    present.message === wanted.message;
  if (isSame) return undefined;
  const isSameStatus = present?.status === wanted.status && present.lastTransitionTime !== undefined;
  return { ...wanted, lastTransitionTime: isSameStatus ? present.lastTransitionTime : now };
}
