/** One way to keep bytes secret. `place` is where the value is stored: some ways bind it to that. */
export interface Cipher {
  seal(plain: Uint8Array, place: string): Uint8Array;
  /** @throws Error, in kube-apiserver's words */
  open(sealed: Uint8Array, place: string): Uint8Array;
}

export const tooShort = 'the stored data was shorter than the required size';
