from keras_segnet_cli.main import main

main()
