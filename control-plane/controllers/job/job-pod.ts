import { jobs } from '#api/schema/kind-ref.ts';
import type { Container, Job, Pod } from '#api/generated/objects.ts';
import { podFromTemplate } from '#control-plane/controllers/pods/pod-from-template.ts';
import { trackingFinalizer } from './count.ts';
import { indexAnnotation } from './indexes.ts';
import type { WantedPod } from './plan.ts';

/** What of metadata.generateName is kept before five more characters (apiserver's MaxGeneratedNameLength). */
const baseMax = 58;

const indexVariable = 'JOB_COMPLETION_INDEX';

/** The pod that a Job's plan wants. */
export function jobPod(job: Job, { index, annotations }: WantedPod): Pod {
  const base = podFromTemplate(jobs, job, job.spec?.template ?? {});
  const finalizers = [...(base.metadata?.finalizers ?? []), trackingFinalizer];
  const tracked = { ...base.metadata, finalizers };
  if (index === undefined) return { ...base, metadata: tracked };
  const name = `${job.metadata?.name ?? ''}-${index}`;
  const spec = base.spec ?? { containers: [] };
  return {
    ...base,
    metadata: {
      ...tracked,
      generateName: generateNameOf(job.metadata?.name ?? '', index),
      annotations: { ...tracked.annotations, ...annotations, [indexAnnotation]: String(index) },
      labels: { ...tracked.labels, [indexAnnotation]: String(index) },
    },
    spec: {
      ...spec,
      hostname: name,
      containers: spec.containers.map(withIndex),
      ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(withIndex) }),
    },
  };
}

/** As long as a name may be before the server cuts it, with the index whole: of the Job's name as much as there is room for. */
function generateNameOf(jobName: string, index: number): string {
  const end = `-${index}-`;
  return `${jobName.slice(0, baseMax - end.length)}${end}`;
}

function withIndex(container: Container): Container {
  const { env = [] } = container;
  if (env.some(({ name }) => name === indexVariable)) return container;
  const valueFrom = { fieldRef: { fieldPath: `metadata.labels['${indexAnnotation}']` } };
  return { ...container, env: [...env, { name: indexVariable, valueFrom }] };
}
