"""The signal room: what every speech family does to sound before and after its model, written once.

    checks       what cannot be worked with is refused by name (`BadSound`)
    mel          log-mel spectrograms: the two front ends, 16 kHz speech and 8 kHz digits
    mulaw        8-bit mu-law, the alphabet of WaveNet
    griffin_lim  a mel spectrogram made audible without a model
    world        the WORLD vocoder: mel-cepstra, log F0, voicing, aperiodicity, and back to sound
    mlpg         dynamic features, smooth trajectories from them, global variance
    dtw          which frame of one take belongs to which of another
    edges        resampling, trimming, loudness, fades, joins

Recordings are tensors (T,) of floats in [-1, 1] with their rate in Hz; features are (frames, dimensions). Nothing is
imported here: each module loads its library when it is used.
"""
