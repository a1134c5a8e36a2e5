import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '#api/meta/object.ts';
import { createAuthority, issueCertificate } from '#control-plane/apiserver/pki/certificate.ts';

/** A webhook on this machine that converts custom objects as its test says. */
export interface ConverterServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** PEM in base64, as WebhookClientConfig has it. */
  readonly caBundle: string;
  /** Reviews that came, in order. */
  readonly reviews: JsonObject[];
  /** What it answers; a text is sent as it is. */
  answer: (review: JsonObject) => unknown;
}

export async function startConverter(answer: ConverterServer['answer']): Promise<ConverterServer> {
  const nowMs = Date.now();
  const authority = await createAuthority('converters', nowMs);
  const { certPem, keyPem } = await issueCertificate(authority, {
    ...{ commonName: 'converter', hosts: ['127.0.0.1', 'converter.default.svc'], usages: ['server'], nowMs },
  });
  const reviews: JsonObject[] = [];
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const review: JsonObject = JSON.parse(Buffer.concat(chunks).toString());
      reviews.push(review);
      const said = started.answer(review);
      if (said === undefined) return; // It hangs.
      response.setHeader('content-type', 'application/json');
      response.end(typeof said === 'string' ? said : JSON.stringify(said));
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  const started: ConverterServer = {
    url: `https://127.0.0.1:${port}/convert`,
    port,
    caBundle: Buffer.from(authority.certPem).toString('base64'),
    reviews,
    answer,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
  return started;
}

/** The answer to a review with each object as `convert` makes it. */
export function converted(
  { request }: JsonObject,
  convert: (object: JsonObject, apiVersion: string) => unknown,
): JsonObject {
  const { uid, desiredAPIVersion, objects } = request as {
    readonly uid: string;
    readonly desiredAPIVersion: string;
    readonly objects: readonly JsonObject[];
  };
  return {
    kind: 'ConversionReview',
    apiVersion: 'apiextensions.k8s.io/v1',
    response: {
      uid,
      result: { status: 'Success' },
      convertedObjects: objects.map((object) => convert(object, desiredAPIVersion)),
    },
  };
}
