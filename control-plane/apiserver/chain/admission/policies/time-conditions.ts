import type {
  AdmissionContext,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import {
  matchConditionDurations,
  matchConditionErrors,
  matchConditionExclusions,
} from '#control-plane/apiserver/serve/counters.ts';
import type { Matching } from '#api/cel/admission/evaluation.ts';
import { settle } from './access.ts';

/** The conditions of one policy or webhook. */
export interface AskedConditions {
  /** Of the policy or the webhook. */
  readonly name: string;
  readonly isHook?: boolean;
  readonly isMutating: boolean;
  /** There are none, and nothing is counted. */
  readonly isEmpty: boolean;
  readonly ask: () => Matching;
}

/** Whether they hold, counted and measured as upstream does it (apiserver/pkg/admission/plugin/webhook/matchconditions). */
export async function timeConditions(
  { metrics, clock }: Pick<AdmissionContext, 'metrics' | 'clock'>,
  { attributes }: AdmissionRequest,
  { name, isHook = false, isMutating, isEmpty, ask }: AskedConditions,
): Promise<Matching> {
  if (isEmpty) return 'all';
  const operation = attributes.operation.toUpperCase();
  const type = isMutating ? 'admit' : 'validate';
  const labels = { kind: isHook ? 'webhook' : 'policy', name, operation, type };
  const startMs = clock.monotonic();
  const answer = await settle(ask);
  metrics.measure(matchConditionDurations, labels, (clock.monotonic() - startMs) / 1000);
  if (answer === 'notAll') metrics.count(matchConditionExclusions, labels);
  else if (answer !== 'all') metrics.count(matchConditionErrors, labels);
  return answer;
}
