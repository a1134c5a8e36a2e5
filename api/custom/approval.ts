import { approvalAnnotation, type Definition } from './definition.ts';

/** What a condition says. */
export interface Finding {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

/** Whether Kubernetes' community has said yes to a kind in one of its groups (apihelpers.GetAPIApprovalState). */
export function approvalOf({
  group,
  annotation = '',
}: Pick<Definition, 'group' | 'annotation'>): Finding | undefined {
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(group)) return undefined;
  const need = `protected groups must have approval annotation "${approvalAnnotation}"`;
  const help = 'see https://github.com/kubernetes/enhancements/pull/1111';
  if (annotation === '') return { status: 'False', reason: 'MissingAnnotation', message: `${need}, ${help}` };
  if (annotation.startsWith('unapproved')) {
    const message = `not approved: ${JSON.stringify(annotation)}`;
    return { status: 'False', reason: 'UnapprovedAnnotation', message };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\/[^/]+/i.test(annotation))
    return { status: 'True', reason: 'ApprovedAnnotation', message: `approved in ${annotation}` };
  const message = `${need} with either a URL or a reason starting with "unapproved", ${help}`;
  return { status: 'False', reason: 'InvalidAnnotation', message };
}
