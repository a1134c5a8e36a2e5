import type { FieldError } from '#api/errors/field-error.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import type { Complaint, JudgedPod } from './control.ts';
import { complaintsText, evaluate } from './evaluate.ts';
import {
  equalLevelVersion,
  levelVersionText,
  modes,
  type LevelVersion,
  type Mode,
  type Policy,
  type ReadPolicy,
} from './policy.ts';

/** Who is not judged. */
export interface Exemptions {
  readonly usernames: readonly string[];
  readonly namespaces: readonly string[];
  readonly runtimeClasses: readonly string[];
}

/** Why a request is not judged, as the audit record says it. */
export type ExemptionReason = 'user' | 'namespace' | 'runtimeClass';

/** An event that is counted. */
export type Counted =
  | {
      readonly kind: 'evaluation';
      readonly mode: Mode;
      readonly decision: 'allow' | 'deny';
      readonly policy: LevelVersion;
    }
  | { readonly kind: 'exemption' }
  | { readonly kind: 'error'; readonly isFatal: boolean };

/** What is to be said of a pod or a template. */
export interface Verdict {
  /** Why it is refused. */
  readonly refusal?: string;
  readonly warnings: readonly string[];
  /** For the audit record, by names without their prefix. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly counted: readonly Counted[];
}

/** Nothing to say. */
export const silent: Verdict = { warnings: [], annotations: {}, counted: [] };

export function exempt(reason: ExemptionReason): Verdict {
  return { ...silent, annotations: { exempt: reason }, counted: [{ kind: 'exemption' }] };
}

/** Of who asks in a namespace, before anything is looked at. */
export function exemptionOf(
  { usernames, namespaces }: Exemptions,
  { user, namespace }: { readonly user: string; readonly namespace: string },
): ExemptionReason | undefined {
  if (namespaces.includes(namespace)) return 'namespace';
  return usernames.includes(user) ? 'user' : undefined;
}

export function hasExemptRuntimeClass({ runtimeClasses }: Exemptions, { spec }: JudgedPod): boolean {
  const { runtimeClassName = '' } = spec;
  return runtimeClassName !== '' && runtimeClasses.includes(runtimeClassName);
}

/** Whether nothing can come of judging: of a template nothing is enforced. */
export function asksNothing({ policy, errors }: ReadPolicy, isEnforced: boolean): boolean {
  const asked = isEnforced ? modes : modes.filter((mode) => mode !== 'enforce');
  return errors.length === 0 && asked.every((mode) => policy[mode].level === 'privileged');
}

/** Of a pod in a namespace that asks nothing: that is told and counted as well. */
export function allowedPrivileged({ enforce }: Policy): Verdict {
  return {
    ...silent,
    annotations: { 'enforce-policy': levelVersionText(enforce) },
    counted: [{ kind: 'evaluation', mode: 'enforce', decision: 'allow', policy: enforce }],
  };
}

/** What a namespace's policy says of a pod, or of a template, of which nothing is enforced. Pure. */
export function judge({ policy, errors }: ReadPolicy, pod: JudgedPod, isEnforced: boolean): Verdict {
  const known: { readonly policy: LevelVersion; readonly complaints: readonly Complaint[] }[] = [];
  const complaintsOf = (asked: LevelVersion): readonly Complaint[] => {
    const before = known.find((one) => equalLevelVersion(one.policy, asked));
    if (before !== undefined) return before.complaints;
    const complaints = evaluate(asked, pod);
    known.push({ policy: asked, complaints });
    return complaints;
  };
  const enforced = isEnforced ? complaintsOf(policy.enforce) : [];
  const isRefused = enforced.length > 0;
  const audited = complaintsOf(policy.audit);
  // Whoever is refused has heard enough.
  const warned = isRefused ? [] : complaintsOf(policy.warn);
  return {
    ...(isRefused ? { refusal: `violates ${policyText(policy.enforce, enforced)}` } : {}),
    warnings: warned.length === 0 ? [] : [`would violate ${policyText(policy.warn, warned)}`],
    annotations: {
      ...(errors.length === 0 ? {} : { error: `Failed to parse policy: ${errorsText(errors)}` }),
      ...(isEnforced ? { 'enforce-policy': levelVersionText(policy.enforce) } : {}),
      ...(audited.length === 0
        ? {}
        : { 'audit-violations': `would violate ${policyText(policy.audit, audited)}` }),
    },
    counted: [
      ...(errors.length === 0 ? [] : [{ kind: 'error', isFatal: false } as const]),
      ...(isEnforced ? [evaluation('enforce', policy, isRefused)] : []),
      ...(audited.length === 0 ? [] : [evaluation('audit', policy, true)]),
      ...(warned.length === 0 ? [] : [evaluation('warn', policy, true)]),
    ],
  };
}

function evaluation(mode: Mode, policy: Policy, isDenied: boolean): Counted {
  return { kind: 'evaluation', mode, decision: isDenied ? 'deny' : 'allow', policy: policy[mode] };
}

/** `PodSecurity "baseline:latest": host namespaces (hostPID=true)`. */
function policyText(policy: LevelVersion, complaints: readonly Complaint[]): string {
  return `PodSecurity "${levelVersionText(policy)}": ${complaintsText(complaints)}`;
}

/** As Go has several errors in one. */
function errorsText(errors: readonly FieldError[]): string {
  const texts = [...new Set(errors.map((error) => `${error.field}: ${renderFieldError(error)}`))];
  return texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
}
