import type { CertificateSigningRequest } from '#api/generated/objects.ts';
import { certificateSigningRequests } from '#api/schema/kind-ref.ts';
import { ownKey, runController, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { planSigning } from './plan.ts';

/** Signs with the key of the cluster's authority. @returns PEM */
export type SignRequest = (order: {
  readonly request: string;
  readonly usages: readonly string[];
  readonly expirationSeconds?: number | undefined;
}) => Promise<string>;

/** Signs what was approved, for the four signers of Kubernetes (csrsigning), or says why not. */
export function runCsrSigning(context: ControllerContext, sign: SignRequest): Controller {
  const { informers, client, clock, logger } = context;
  const requests = informers.for(certificateSigningRequests);
  return runController({
    name: 'certificatesigningrequest-signing-controller',
    clock,
    logger,
    sources: [ownKey(requests)],
    reconcile: async (name) => {
      const csr = requests.get(name);
      if (csr === undefined) return;
      const plan = planSigning(csr);
      if (plan.kind === 'nothing') return;
      const status =
        plan.kind === 'sign'
          ? { certificate: await signed(csr, sign) }
          : { conditions: failed(csr, plan.message) };
      const next = { ...csr, status: { ...csr.status, ...status } };
      requests.observe(await client.update(certificateSigningRequests, next, { subresource: 'status' }));
    },
  });
}

async function signed({ spec }: CertificateSigningRequest, sign: SignRequest): Promise<string> {
  const { request, usages = [], expirationSeconds } = spec;
  return Buffer.from(await sign({ request, usages, expirationSeconds })).toString('base64');
}

function failed(
  { status }: CertificateSigningRequest,
  message: string,
): NonNullable<CertificateSigningRequest['status']>['conditions'] {
  const condition = { type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message };
  return [...(status?.conditions ?? []), condition];
}
