import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';

/** What kubectl describe shows of a claim or a volume. */
export interface EventStep {
  readonly kind: 'event';
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** Who says it; undefined: the binder. */
  readonly by?: 'volume_expand';
  /** Undefined: what the step is for. */
  readonly about?: PersistentVolumeClaim;
}

/** What is due for a claim that asks for more than its volume has. */
export type ExpansionStep =
  /** The claim's status says that the node has its part to do. */
  | { readonly kind: 'announceExpansion'; readonly size: string }
  | { readonly kind: 'growVolume'; readonly volume: PersistentVolume; readonly size: string }
  | EventStep;

/** What is due for a claim, in order. */
export type ClaimStep =
  | ExpansionStep
  | { readonly kind: 'phase'; readonly phase: 'Pending' | 'Lost' }
  | { readonly kind: 'bind'; readonly volume: PersistentVolume }
  /** Undefined takes the annotation away. */
  | { readonly kind: 'annotate'; readonly annotations: Readonly<Record<string, string | undefined>> }
  | { readonly kind: 'setClass'; readonly name: string }
  | { readonly kind: 'createVolume'; readonly volume: PersistentVolume };

type Phase = NonNullable<NonNullable<PersistentVolume['status']>['phase']>;

/** What is due for a volume, in order. */
export type VolumeStep =
  | { readonly kind: 'phase'; readonly phase: Phase; readonly message?: string }
  /** It names its claim no longer, or, where somebody meant it for the name, only the name. */
  | { readonly kind: 'unbind' }
  | { readonly kind: 'delete' }
  /** The node is gone: nobody takes the directory away. */
  | { readonly kind: 'letGo' }
  | EventStep;

/** The reason of the event that says that somebody else makes the volume. */
export const externalProvisioning = 'ExternalProvisioning';

/** Something to be told. */
export function event(type: EventStep['type'], reason: string, message: string): EventStep {
  return { kind: 'event', type, reason, message };
}
