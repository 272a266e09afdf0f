"""How the embedded models were made: `python -m tools.train_demo --help`.

Five stages, each going on from its own checkpoint when the same command is run again:

    data          360 pictures, from two npm packages
    autoencoder   pictures to latents and back
    latents       every picture on every background, moved a little, as latents; made once
    text          UNet and text encoder   -> the folder `emoji`
    class         DiT                     -> the folder `emoji-dit`

The recipe is the one of the embedded weights. Where their record says too little (the weight of the autoencoder's pull,
the prompt forms of the text model's first phase, the seed), `recipe` and `prompts` say what is used here: a run gives
models like the embedded ones, not the same bits.
"""
