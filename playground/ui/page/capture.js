// On the audio thread: hands what the microphone hears to the page, about twenty times a second.
registerProcessor(
  "capture",
  class extends AudioWorkletProcessor {
    constructor() {
      super();
      this.block = new Float32Array(2048);
      this.filled = 0;
    }

    process([[heard]]) {
      for (const sample of heard ?? []) {
        this.block[this.filled++] = sample;
        if (this.filled === this.block.length) {
          this.port.postMessage(this.block.slice());
          this.filled = 0;
        }
      }
      return true;
    }
  },
);
