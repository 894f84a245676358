"""The folder that nnU-Net searches for our trainers: ``export nnUNet_extTrainer=$(softseg nnunet trainers)``."""
