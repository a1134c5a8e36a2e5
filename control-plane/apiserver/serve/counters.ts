/** What is counted beside requests, under the names and labels that kube-apiserver has for it. */
export interface CounterRow<L extends string = string> {
  readonly name: string;
  readonly help: string;
  /** In the order in which they are shown: that of the alphabet. */
  readonly labelNames: readonly L[];
  /** Those that are shown before anything was counted. */
  readonly shown?: readonly Readonly<Record<L, string>>[];
}

/** What is measured beside requests. */
export interface HistogramRow<L extends string = string> extends Omit<CounterRow<L>, 'shown'> {
  /** Upper bounds, inclusive, in order. */
  readonly buckets: readonly number[];
}

/** Where something is counted. */
export interface Counting {
  /** Once more. The values of labels are bounded: none is what a client chose. */
  count<L extends string>(row: CounterRow<L>, labels: Readonly<Record<L, string>>): void;
  /** As `count`, with how much. */
  measure<L extends string>(row: HistogramRow<L>, labels: Readonly<Record<L, string>>, value: number): void;
  /** Where `measure` puts it, for who measures the same for every request. */
  series<L extends string>(row: HistogramRow<L>, labels: Readonly<Record<L, string>>): Measured;
}

export interface Measured {
  add(value: number): void;
}

const podWrites = ['create', 'update'].map((operation) => ({
  ...{ request_operation: operation, resource: 'pod', subresource: '' },
}));
const templateWrites = podWrites.map((labels) => ({ ...labels, resource: 'controller' }));

/** k8s.io/pod-security-admission, metrics. */
export const podSecurityEvaluations: CounterRow<
  'decision' | 'policy_level' | 'policy_version' | 'mode' | 'request_operation' | 'resource' | 'subresource'
> = {
  name: 'pod_security_evaluations_total',
  help: 'Verdicts on pods and templates by Pod Security, without those that nobody asked for and exempt ones.',
  labelNames: [
    'decision',
    'mode',
    'policy_level',
    'policy_version',
    'request_operation',
    'resource',
    'subresource',
  ],
  shown: podWrites.map((labels) => ({
    ...labels,
    ...{ decision: 'allow', policy_level: 'privileged', policy_version: 'latest', mode: 'enforce' },
  })),
};

export const podSecurityExemptions: CounterRow<'request_operation' | 'resource' | 'subresource'> = {
  name: 'pod_security_exemptions_total',
  help: 'Requests that Pod Security exempts.',
  labelNames: ['request_operation', 'resource', 'subresource'],
  shown: [...podWrites, ...templateWrites],
};

export const podSecurityErrors: CounterRow<'fatal' | 'request_operation' | 'resource' | 'subresource'> = {
  name: 'pod_security_errors_total',
  help: 'Requests that Pod Security could not judge, or (fatal: false) only by labels that it could not read.',
  labelNames: ['fatal', 'request_operation', 'resource', 'subresource'],
};

/** kubernetes pkg/registry/certificates. */
export const csrRequestedDuration: CounterRow<'signerName'> = {
  name: 'apiserver_certificates_registry_csr_requested_duration_total',
  help: 'Certificates that were issued for requests that say how long they are to live.',
  labelNames: ['signerName'],
};

export const csrHonoredDuration: CounterRow<'signerName'> = {
  name: 'apiserver_certificates_registry_csr_honored_duration_total',
  help: 'Those of them that live about as long as was asked for.',
  labelNames: ['signerName'],
};

/*
 * Of hooks (apiserver/pkg/admission/metrics). They are told apart by the names that their configurations give them: whoever may write these
 * is trusted with that.
 */

export const hookRejections: CounterRow<'error_type' | 'name' | 'operation' | 'rejection_code' | 'type'> = {
  name: 'apiserver_admission_webhook_rejection_count',
  help: 'Requests that were refused for an admission webhook: denied by it (no_error), or because it could not be called or its patch made no object.',
  labelNames: ['error_type', 'name', 'operation', 'rejection_code', 'type'],
};

export const hookFailOpens: CounterRow<'name' | 'type'> = {
  name: 'apiserver_admission_webhook_fail_open_count',
  help: 'Requests that went on although an admission webhook could not be called.',
  labelNames: ['name', 'type'],
};

export const hookCalls: CounterRow<'code' | 'name' | 'operation' | 'rejected' | 'type'> = {
  name: 'apiserver_admission_webhook_request_total',
  help: 'Calls of admission webhooks.',
  labelNames: ['code', 'name', 'operation', 'rejected', 'type'],
};

export const hookDurations: HistogramRow<'name' | 'operation' | 'rejected' | 'type'> = {
  name: 'apiserver_admission_webhook_admission_duration_seconds',
  help: 'How long calls of admission webhooks took.',
  labelNames: ['name', 'operation', 'rejected', 'type'],
  buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 25],
};

export const matchConditionErrors: CounterRow<'kind' | 'name' | 'operation' | 'type'> = {
  name: 'apiserver_admission_match_condition_evaluation_errors_total',
  help: 'Match conditions of webhooks and policies that could not be told.',
  labelNames: ['kind', 'name', 'operation', 'type'],
};

export const matchConditionExclusions: CounterRow<'kind' | 'name' | 'operation' | 'type'> = {
  name: 'apiserver_admission_match_condition_exclusions_total',
  help: 'Requests that a match condition of a webhook or policy left out.',
  labelNames: ['kind', 'name', 'operation', 'type'],
};

export const matchConditionDurations: HistogramRow<'kind' | 'name' | 'operation' | 'type'> = {
  name: 'apiserver_admission_match_condition_evaluation_seconds',
  help: 'How long match conditions of a webhook or policy took.',
  labelNames: ['kind', 'name', 'operation', 'type'],
  buckets: [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25],
};

/** Of one plugin, in one of its two halves. */
export const pluginDurations: HistogramRow<'name' | 'operation' | 'rejected' | 'type'> = {
  name: 'apiserver_admission_controller_admission_duration_seconds',
  help: 'How long admission plugins took, each that has a say in a request.',
  labelNames: ['name', 'operation', 'rejected', 'type'],
  buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5],
};

/** Of all plugins together. */
export const admissionDurations: HistogramRow<'operation' | 'rejected' | 'type'> = {
  name: 'apiserver_admission_step_admission_duration_seconds',
  help: 'How long admission took, first of those who change objects, then of those who judge them.',
  labelNames: ['operation', 'rejected', 'type'],
  buckets: [0.005, 0.025, 0.1, 0.5, 1, 2.5],
};

/** apiserver/pkg/admission/plugin/policy/validating/metrics: names of policies and bindings are those that administrators gave. */
export const policyChecks: CounterRow<'enforcement_action' | 'error_type' | 'policy' | 'policy_binding'> = {
  name: 'apiserver_validating_admission_policy_check_total',
  help: 'Requests that a ValidatingAdmissionPolicy judged, by what became of them.',
  labelNames: ['enforcement_action', 'error_type', 'policy', 'policy_binding'],
};

const policyBuckets: readonly number[] = [0.000_000_5, 0.001, 0.01, 0.1, 1];

export const policyCheckDurations: HistogramRow<
  'enforcement_action' | 'error_type' | 'policy' | 'policy_binding'
> = {
  name: 'apiserver_validating_admission_policy_check_duration_seconds',
  help: 'How long the validations of a ValidatingAdmissionPolicy took, by what became of them.',
  labelNames: ['enforcement_action', 'error_type', 'policy', 'policy_binding'],
  buckets: policyBuckets,
};

/** apiserver/pkg/admission/plugin/policy/mutating/metrics. */
export const mutationChecks: CounterRow<'error_type' | 'policy' | 'policy_binding'> = {
  name: 'apiserver_mutating_admission_policy_check_total',
  help: 'Requests that a MutatingAdmissionPolicy was asked about, by whether it could answer.',
  labelNames: ['error_type', 'policy', 'policy_binding'],
};

export const mutationCheckDurations: HistogramRow<'error_type' | 'policy' | 'policy_binding'> = {
  name: 'apiserver_mutating_admission_policy_check_duration_seconds',
  help: 'How long the mutations of a MutatingAdmissionPolicy took.',
  labelNames: ['error_type', 'policy', 'policy_binding'],
  buckets: policyBuckets,
};

/** Merged documents that were made (kube-aggregator and apiserver/pkg/endpoints/discovery/aggregated). */
export const discoveryAggregations: CounterRow<never> = {
  name: 'aggregator_discovery_aggregation_count_total',
  help: 'How often the document of all groups was made anew.',
  labelNames: [],
};

/** All that are measured. */
export const histogramRows: readonly HistogramRow[] = [
  hookDurations,
  matchConditionDurations,
  pluginDurations,
  admissionDurations,
  policyCheckDurations,
  mutationCheckDurations,
];

/** All of them, as `/metrics` shows them. */
export const counterRows: readonly CounterRow[] = [
  hookRejections,
  hookFailOpens,
  hookCalls,
  matchConditionErrors,
  matchConditionExclusions,
  podSecurityEvaluations,
  podSecurityExemptions,
  podSecurityErrors,
  csrRequestedDuration,
  csrHonoredDuration,
  policyChecks,
  mutationChecks,
  discoveryAggregations,
];
